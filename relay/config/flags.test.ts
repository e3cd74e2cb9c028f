import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { parseDuration } from "./duration.ts";
import { options, parseFlags, renderUsage } from "./flags.ts";
import { parseListenAddress } from "./listen-address.ts";
import { parseRelayConfig } from "./load.ts";

test("flags are read in Go's syntax: one or two dashes, a value behind = or in the next word", () => {
  const { options: given, config } = parseFlags([
    "-a",
    ":8443",
    "--hostname=a.example",
    "-stun=false",
    "-stun-port=3479",
    "-c",
    "x=y.key",
    "--config",
    "f.json",
    "-exit-on-stdin-end",
  ]);
  assert.equal(config, "f.json");
  assert.deepEqual(given, {
    listen: ":8443",
    hostname: "a.example",
    stun: false,
    stunPort: 3479,
    keyFile: "x=y.key",
    exitOnStdinEnd: true,
  });
});

test("an unknown flag, a missing value and a value of the wrong kind are a usage error, which exits with 2", () => {
  for (const args of [
    ["-nope"],
    ["-a"],
    ["-stun=maybe"],
    ["-stun-port", "x"],
    ["word"],
    ["-"],
    ["-=x"],
    ["---a", ":1"],
  ]) {
    assert.throws(
      () => parseFlags(args),
      (error) => error instanceof KitError && error.code === "usage" && error.exit === 2,
      args.join(" "),
    );
  }
});

test("the usage names every option's flag", () => {
  const usage = renderUsage();
  for (const { flag } of options) assert.match(usage, new RegExp(`^  -${flag}( |$)`, "m"));
});

test("a flag goes over the file and the file over the default", () => {
  const file = JSON.stringify({ hostname: "a.example", certMode: "manual", stunPort: 1111, home: "blank" });
  const config = parseRelayConfig(file, { stunPort: 2222 });
  assert.deepEqual(
    [config.stunPort, config.home, config.listen, config.tcpWriteTimeout],
    [2222, "blank", ":443", "2s"],
  );
});

test("every mistake in a config is reported at once, with its path", () => {
  const file = JSON.stringify({
    certMode: "magic",
    stunPort: "3478",
    listen: "here",
    tcpWriteTimeout: "2 s",
    colour: "red",
  });
  assert.throws(
    () => parseRelayConfig(file, {}, "x.json"),
    (error) => {
      assert.ok(error instanceof KitError);
      const paths = error.problems.map(({ path }) => path).sort();
      assert.deepEqual(paths, [
        "certMode (-certmode)",
        "colour",
        "hostname (-hostname)",
        "listen (-a)",
        "stunPort (-stun-port)",
        "tcpWriteTimeout (-tcp-write-timeout)",
      ]);
      return true;
    },
  );
  for (const text of ["", "[]", "null", "{"]) assert.throws(() => parseRelayConfig(text, {}), KitError, text);
});

test("durations are Go's", () => {
  const table = { "2s": 2_000, "1m30s": 90_000, "1.5h": 5_400_000, "500ms": 500, "0": 0, "10us": 0.01 };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDuration(text), ms, text);
  for (const text of ["", "2", "s", "2 s", "-2s", "1.2.3s", "2x", "2s2"])
    assert.equal(parseDuration(text), undefined, text);
});

test("listen addresses are :port, ip:port and [ipv6]:port", () => {
  assert.deepEqual(parseListenAddress(":443"), { host: undefined, port: 443 });
  assert.deepEqual(parseListenAddress("127.0.0.1:8443"), { host: "127.0.0.1", port: 8443 });
  assert.deepEqual(parseListenAddress("[::1]:0"), { host: "::1", port: 0 });
  for (const text of ["443", "a.example:443", "::1:443", "[127.0.0.1]:1", ":65536", ":", "1.2.3.4"]) {
    assert.equal(parseListenAddress(text), undefined, text);
  }
});
