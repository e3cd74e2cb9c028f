import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { type CommandLine, options, parseFlags, renderUsage } from "./flags.ts";
import { parseListenAddress } from "./listen-address.ts";
import { parseRelayConfig } from "./load.ts";

function parse(args: readonly string[]): CommandLine {
  return parseFlags(args, "/srv");
}

test("flags are read in Go's syntax: one or two dashes, a value behind = or in the next word", () => {
  const { options: given, config } = parse([
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
  assert.equal(config, "/srv/f.json");
  assert.deepEqual(given, {
    listen: ":8443",
    hostname: "a.example",
    stun: false,
    stunPort: 3479,
    keyFile: "/srv/x=y.key",
    exitOnStdinEnd: true,
  });
});

test("an unknown flag, a missing value and a value of the wrong kind are a usage error, which exits with 2", () => {
  for (const args of [
    ["-nope"],
    ["-a"],
    ["-stun=maybe"],
    ["-stun-port", "x"],
    ["-tcp-write-timeout=2"],
    ["-accept-connection-limit", "many"],
    ["-=x"],
    ["---a", ":1"],
  ]) {
    assert.throws(
      () => parse(args),
      (error) => error instanceof KitError && error.code === "usage" && error.exit === 2,
      args.join(" "),
    );
  }
});

test("numbers are Go's, and of a flag that is given twice the last counts", () => {
  const { options: given } = parse([
    "-stun-port=1",
    "-stun-port=0x1bb",
    "-accept-connection-limit=+Inf",
    "-accept-connection-burst=9223372036854775807",
  ]);
  assert.deepEqual(given, {
    stunPort: 443,
    acceptConnectionLimit: Infinity,
    acceptConnectionBurst: 2 ** 63,
  });
});

test("120. the first word that is no flag ends the command line, as for derper, and what it hides is told", () => {
  const { options: given, ignored } = parse(["-stun", "-verify-clients", "true", "-a", ":8443"]);
  assert.deepEqual(given, { stun: true, verifyClients: true });
  assert.deepEqual(ignored, ["true", "-a", ":8443"]);
  assert.deepEqual(parse(["-derp=false", "-", "-nope"]).ignored, ["-", "-nope"]);
  assert.deepEqual(parse(["-derp=false", "--", "-nope"]).ignored, ["-nope"]);
  assert.deepEqual(parse(["-a", "-b"]), { ...parse([]), options: { listen: "-b" } });
});

test("a path on the command line starts at the working directory; an empty one stays empty", () => {
  const { options: given } = parse(["-c", "state/derper.key", "-certdir=/certs", "-mesh-psk-file="]);
  assert.deepEqual(given, { keyFile: "/srv/state/derper.key", certDir: "/certs", meshPskFile: "" });
});

test("without a file and flags everything is as with derper", () => {
  const { listen, hostname, certMode, certDir, keyFile, verifyClientUrlFailOpen } = parseRelayConfig(
    undefined,
    {},
  );
  assert.deepEqual(
    { listen, hostname, certMode, certDir, keyFile, verifyClientUrlFailOpen },
    {
      listen: ":443",
      hostname: "derp.tailscale.com",
      certMode: "letsencrypt",
      certDir: undefined,
      keyFile: undefined,
      verifyClientUrlFailOpen: true,
    },
  );
});

test("what a file leaves out lies in the state directory, and lets nobody in", () => {
  const file = JSON.stringify({ hostname: "a.example", certMode: "manual" });
  const { certDir, keyFile, verifyClientUrlFailOpen } = parseRelayConfig(file, {});
  assert.deepEqual([certDir, keyFile, verifyClientUrlFailOpen], ["certs", "derper.key", false]);
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

test("listen addresses are :port, host:port and [ipv6]:port, the port by number or name", () => {
  const every = { host: undefined, port: 443 };
  const table = {
    ":443": every,
    ":https": every,
    // As in Go, which listens on every address of both families then.
    "0.0.0.0:443": every,
    "[::]:443": every,
    "127.0.0.1:http": { host: "127.0.0.1", port: 80 },
    "[::1]:0": { host: "::1", port: 0 },
    "localhost:8443": { host: "localhost", port: 8443 },
  };
  for (const [text, address] of Object.entries(table)) {
    assert.deepEqual(parseListenAddress(text), address, text);
  }
  for (const text of [
    "443",
    "::1:443",
    "[127.0.0.1]:1",
    ":65536",
    ":",
    "1.2.3.4",
    ":nope",
    ":constructor",
    "",
  ]) {
    assert.equal(parseListenAddress(text), undefined, text);
  }
});
