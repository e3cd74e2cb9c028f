/** Admission as the core asks it: a question, an answer later, and word when a client may no longer stay. */
import type { Gate } from "../core/session-context.ts";
import { decodeIp } from "../ip-address.ts";
import type { Admission } from "./admission.ts";
import { admits } from "./verdict.ts";

/** @param now the relay's clock */
export function createGate(admission: Admission, now: () => number): Gate {
  return {
    ask(key, ip, decide, end) {
      const client = { key, source: ip.every((byte) => byte === 0) ? "" : (decodeIp(ip) ?? ""), mesh: false };
      const leaving = new AbortController();
      let unwatch: (() => void) | undefined;
      void admission.admit(client, leaving.signal).then((verdict) => {
        if (leaving.signal.aborted) return;
        const admitted = admits(verdict);
        if (admitted) unwatch = admission.watch(client, verdict, end);
        decide(admitted, now());
      });
      return () => {
        leaving.abort();
        unwatch?.();
      };
    },
  };
}
