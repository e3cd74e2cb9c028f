import assert from "node:assert/strict";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { openResolver } from "./resolver.ts";
import { type DnsServer, silence, silent, startDnsServer } from "./testing/dns-server.ts";

async function open(t: TestContext, ...zones: [Parameters<typeof startDnsServer>[1]?, string?]) {
  const dns = await startDnsServer(t, ...zones);
  const stop = new AbortController();
  const resolver = await openResolver({ ...dns.resolver, signal: stop.signal });
  return { dns, stop, resolver };
}

test("the addresses of a name are those of both families", async (t) => {
  const { resolver, dns } = await open(t, {
    "both.example": { a: ["192.0.2.1", "192.0.2.2"], aaaa: ["2001:db8::1"] },
    "four.example": { a: ["192.0.2.3"] },
    "six.example": { aaaa: ["2001:db8:0:0::6", "::ffff:192.0.2.6"] },
  });
  assert.deepEqual(await resolver.addresses("both.example"), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
  assert.deepEqual(await resolver.addresses("four.example"), ["192.0.2.3"]);
  assert.deepEqual(await resolver.addresses("six.example"), ["2001:db8::6", "192.0.2.6"]);
  assert.deepEqual(dns.asked.slice(0, 2).sort(), ["both.example a", "both.example aaaa"]);
});

test("a name without addresses fails with the code of DNS", async (t) => {
  const { resolver } = await open(t, { "text.example": { txt: [["x"]] } });
  await assert.rejects(resolver.addresses("none.example"), { code: "ENOTFOUND" });
  await assert.rejects(resolver.addresses("text.example"), { code: "ENODATA" });
  await assert.rejects(resolver.texts("none.example"), { code: "ENOTFOUND" });
});

test("a TXT record is all its strings", async (t) => {
  const { resolver } = await open(t, { "t.example": { txt: [["5", "0"], ["x"]] } });
  assert.deepEqual(await resolver.texts("t.example"), ["50", "x"]);
});

test("an address stands for itself, and the hosts file goes before DNS", async (t) => {
  const { resolver, dns } = await open(
    t,
    { localhost: { a: ["192.0.2.9"] } },
    "127.0.0.1 localhost\n::1 localhost\n",
  );
  assert.deepEqual(await resolver.addresses("localhost"), ["127.0.0.1", "::1"]);
  assert.deepEqual(await resolver.addresses("192.0.2.7"), ["192.0.2.7"]);
  assert.deepEqual(await resolver.addresses("2001:DB8::0:7"), ["2001:db8::7"]);
  assert.deepEqual(dns.asked, []);
});

test("without a hosts file DNS is asked", async (t) => {
  const dns = await startDnsServer(t, { localhost: { a: ["127.0.0.1"] } });
  const hostsFile = path.join(dns.resolver.hostsFile, "none");
  const resolver = await openResolver({ ...dns.resolver, hostsFile, signal: new AbortController().signal });
  assert.deepEqual(await resolver.addresses("localhost"), ["127.0.0.1"]);
});

test("what is no domain name is asked of nobody", async (t) => {
  const { resolver, dns } = await open(t);
  for (const name of ["", " ", " a.example", "a/b", "1.2.3"]) {
    await assert.rejects(resolver.addresses(name), { code: "EBADNAME" }, name);
    await assert.rejects(resolver.texts(name), { code: "EBADNAME" }, name);
  }
  assert.deepEqual(dns.asked, []);
});

test("questions end at once, with the reason, when they are told to", async (t) => {
  const { resolver, dns, stop } = await open(t, { "silent.example": silent });
  const questions = [resolver.addresses("silent.example"), resolver.texts("silent.example")];
  await asked(dns, 3);
  stop.abort(new Error("stopped"));
  const tooLate = [resolver.addresses("other.example"), resolver.texts("other.example")];
  await Promise.all(
    [...questions, ...tooLate].map((question) => assert.rejects(question, { message: "stopped" })),
  );
  assert.equal(dns.asked.length, 3);
});

test("one family that came counts, when the other is cut off", async (t) => {
  const { resolver, dns, stop } = await open(t, { "a.example": { a: ["192.0.2.1"], aaaa: silence } });
  const addresses = resolver.addresses("a.example");
  await asked(dns, 2);
  await dns.settled();
  stop.abort(new Error("stopped"));
  assert.deepEqual(await addresses, ["192.0.2.1"]);
});

async function asked(dns: DnsServer, count: number): Promise<void> {
  while (dns.asked.length < count) await new Promise(setImmediate);
}
