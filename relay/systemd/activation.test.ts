import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { takePassedSockets } from "./activation.ts";

const pid = 4_711;

/** The variables for this process, with others around them. */
function environment(count: string, names: string | undefined): Record<string, string | undefined> {
  return { PATH: "/bin", LISTEN_PID: `${pid}`, LISTEN_FDS: count, LISTEN_FDNAMES: names };
}

test("sockets are told apart by their names, and numbered from 3 on in the order of the names", () => {
  assert.deepEqual(takePassedSockets(environment("2", "derp:stun"), pid), { derp: 3, stun: 4 });
  assert.deepEqual(takePassedSockets(environment("3", "http:stun:derp"), pid), { http: 3, stun: 4, derp: 5 });
  assert.deepEqual(takePassedSockets(environment("1", "stun"), pid), { stun: 3 });
});

test("who is passed nothing has no sockets, and so has whoever only inherits the variables", () => {
  assert.deepEqual(takePassedSockets({ PATH: "/bin" }, pid), {});
  assert.deepEqual(takePassedSockets(environment("0", ""), pid), {});
  for (const other of ["4712", "", " 4711", undefined])
    assert.deepEqual(takePassedSockets({ ...environment("1", "derp"), LISTEN_PID: other }, pid), {});
});

test("the variables are gone afterwards, whoever they were for and whatever they said", () => {
  for (const given of [
    environment("1", "derp"),
    { ...environment("1", "derp"), LISTEN_PID: "1" },
    environment("two", "derp"),
  ]) {
    try {
      takePassedSockets(given, pid);
    } catch {
      // The next test is about that.
    }
    assert.deepEqual(given, { PATH: "/bin" });
  }
});

test("a name that is unknown, doubled or missing is an error that says which", () => {
  for (const [count, names, message] of [
    ["1", "derpkit-relay.socket", /derpkit-relay\.socket/],
    ["2", "derp:derp", /more than one socket with the name derp/i],
    ["2", undefined, /2 sockets are passed, and 0 names/],
    ["2", "derp", /2 sockets are passed, and 1 names/],
    ["1", "derp:stun", /1 sockets are passed, and 2 names/],
    ["1", "toString", /toString/],
    ["-1", "derp", /-1/],
    ["two", "derp", /two/],
  ] as const)
    assert.throws(
      () => takePassedSockets(environment(count, names), pid),
      (error) => error instanceof KitError && error.code === "sockets-invalid" && message.test(error.message),
      `${count} ${names}`,
    );
});
