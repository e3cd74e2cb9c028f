import assert from "node:assert/strict";
import test from "node:test";
import {
  connectionArguments,
  latencyArguments,
  loadArguments,
  parseConnections,
  parseLoad,
  parseValues,
  RunFailed,
} from "./derpbench.ts";

const target = { port: 20_001, pid: 4_711 };
const times = { warmup: 2, time: 5 };
const common = ["-addr=127.0.0.1:20001", "-server-pid=4711"];

const load = {
  pairs: 10,
  size: 64,
  pps: 674_012,
  sent: 4_000,
  delivered: 3_000,
  drop_rate: 0.25,
  server_cpu_us_per_pkt: 1.48,
  server_cpu_cores: 0.99,
  generator_cpu_cores: 0.8,
  server_rss_mib: 23.4,
  bad: 0,
};
const connections = {
  n: 500,
  alive: 500,
  per_second: 1_728,
  server_cpu_ms_per_conn: 0.5,
  server_kib_per_conn: 68.7,
  server_rss_after_mib: 50.4,
};
const fails = (read: () => unknown, message: RegExp): void => {
  assert.throws(read, (error) => error instanceof RunFailed && message.test(error.message));
};

test("bursts are larger where the window is, and single where packets are paced", () => {
  const burst = (more: object): string | undefined =>
    loadArguments(target, { pairs: 1, size: 64, window: 32, ...more }, times).find((arg) =>
      arg.startsWith("-burst"),
    );
  assert.equal(burst({}), "-burst=8");
  assert.equal(burst({ window: 128 }), "-burst=32");
  assert.equal(burst({ rate: 100 }), "-burst=1");
});

test("command lines name the relay, the work and the times", () => {
  assert.deepEqual(loadArguments(target, { pairs: 1, size: 64, window: 32, rate: 100 }, times, 500), [
    "load",
    ...common,
    "-warmup=2s",
    "-time=5s",
    "-pairs=1",
    "-size=64",
    "-window=32",
    "-burst=1",
    "-rate=100",
    "-stalled=500",
  ]);
  assert.deepEqual(latencyArguments(target, times), [
    "latency",
    ...common,
    "-warmup=2s",
    "-time=5s",
    "-size=64",
  ]);
  assert.deepEqual(connectionArguments(target, 5_000, 3), ["conns", ...common, "-n=5000", "-hold=3s"]);
});

test("a load gives cost, goodput, and drops in percent of what was sent", () => {
  assert.deepEqual(parseLoad(JSON.stringify(load)), {
    cpuPerPacket: 1.48,
    goodput: 674_012,
    dropped: 25,
    server: 0.99,
    generator: 0.8,
    memory: 23.4,
  });
});

test("one packet lost among millions is not rounded away", () => {
  const { dropped = 0 } = parseLoad(
    JSON.stringify({ ...load, sent: 9_000_000, delivered: 8_999_999, drop_rate: 0 }),
  );
  assert.ok(dropped > 0);
});

test("round trips are read where there are some, and nothing sent is nothing dropped", () => {
  const values = parseLoad(
    JSON.stringify({ ...load, sent: 0, delivered: 0, rtt_us: { n: 9, p50: 128, p99: 323 } }),
  );
  assert.deepEqual([values["dropped"], values["rttP50"], values["rttP99"]], [0, 128, 323]);
});

test("damaged packets and lost connections fail the run", () => {
  fails(() => parseLoad(JSON.stringify({ ...load, bad: 2 })), /2 packets came damaged/);
  fails(() => parseLoad(JSON.stringify({ ...load, disconnects: 1 })), /1 connections were lost/);
});

test("connections give their cost, and fail the run unless all of them answer", () => {
  assert.deepEqual(parseConnections(JSON.stringify(connections)), {
    cpuPerHandshake: 0.5,
    perConnection: 68.7,
    handshakes: 1_728,
    memory: 50.4,
  });
  fails(() => parseConnections(JSON.stringify({ ...connections, alive: 499 })), /only 499 of 500/);
});

test("what is no JSON, no object or lacks a number fails the run", () => {
  for (const parse of [parseLoad, parseConnections]) {
    for (const text of ["", "{", "[]", "null", "7", "{}"]) fails(() => parse(text), /the generator/);
  }
  fails(() => parseLoad(JSON.stringify({ ...load, pps: "many" })), /did not print pps/);
  fails(() => parseLoad(JSON.stringify({ ...load, rtt_us: {} })), /did not print p50/);
  fails(() => parseValues('{"alive":null}'), /did not print alive/);
  assert.deepEqual(parseValues('{"alive":100}'), { alive: 100 });
});
