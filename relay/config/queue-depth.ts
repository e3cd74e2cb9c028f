/** derper's environment variable for the depth of a client's send queues. */
import { KitError } from "../errors.ts";

const variable = "TS_DEBUG_DERP_PER_CLIENT_SEND_QUEUE_DEPTH";

/**
 * Reads how many packets each of a client's two queues is to hold, as in derper, in place of our bounds in bytes and age.
 *
 * @returns undefined if the variable is not set or empty
 * @throws KitError `config-invalid` for anything but a whole number from 1
 */
export function readQueueDepth(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const text = env[variable] ?? "";
  if (text === "") return undefined;
  const depth = /^\+?\d{1,9}$/.test(text) ? Number(text) : 0;
  if (depth >= 1) return depth;
  throw new KitError("config-invalid", {
    message: "The relay's environment has a mistake.",
    problems: [
      { path: variable, message: `has to be a whole number from 1, and is ${JSON.stringify(text)}` },
    ],
  });
}
