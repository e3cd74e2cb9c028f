/** Changes of a fleet that is there: each call that they take fails once, and an `up` is cut off in the middle. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { CloudFleet, goesOnAfter } from "./cloud-fleet.ts";
import { eventually } from "./eventually.ts";
import { type CloudCall, type CloudState, type Fault, whyNoClouds } from "./simcloud.ts";

const timeout = 900_000;
const skip = whyNoClouds ?? false;

/** What a fleet is, without the ids and times that differ each time, in no order. */
function shapeOf(state: CloudState): unknown {
  const accidental = /id|name|created|modified|arn|address|ip$|ptr|device|user_?data|mac|sg|instance/i;
  const text = JSON.stringify(state, (key, value: unknown) => {
    if (accidental.test(key)) return undefined;
    // Ids that others refer to.
    return typeof value === "number" && value >= 1_000 ? "id" : value;
  });
  const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  return JSON.parse(text, (_, value: unknown) => (Array.isArray(value) ? value.toSorted(byText) : value));
}

function succeeds(fleet: CloudFleet): void {
  const { status, text } = fleet.up();
  assert.equal(status, 0, text);
}

/** Has a change fail at each of its calls, one after the other. */
async function failsAtEach(
  fleet: CloudFleet,
  faults: readonly Pick<Fault, "method" | "path">[],
  change: (text: string) => string,
  back: (text: string) => string,
): Promise<void> {
  const whole = await fleet.count();
  fleet.edit(change);
  succeeds(fleet);
  const changed = { count: await fleet.count(), shape: shapeOf(await fleet.clouds.state()) };
  for (const fault of faults) {
    fleet.edit(back);
    succeeds(fleet);
    assert.deepEqual(await fleet.count(), whole);
    fleet.edit(change);
    await goesOnAfter(fault, fleet, changed.count);
    assert.deepEqual(shapeOf(await fleet.clouds.state()), changed.shape, `${fault.method} ${fault.path}`);
  }
  fleet.staysAsItIs();
}

/** Calls that change something, each kind once. Switching a server on and off goes with the others. */
function kindsOf(calls: readonly CloudCall[]): Pick<Fault, "method" | "path">[] {
  const changing = calls.flatMap(({ api = "", path: where = "" }) =>
    ["POST", "PUT", "PATCH", "DELETE"].includes(api)
      ? [{ method: api, path: `^${where.replace(/\?.*$/, "").replaceAll(/\d{2,}/g, "\\d+")}$` }]
      : [],
  );
  return [...new Map(changing.map((call) => [`${call.method} ${call.path}`, call])).values()];
}

describe("changes that fail half-way", { skip, timeout }, () => {
  test(
    "at Hetzner and Cloudflare, whichever call fails, the next up finishes the change",
    { timeout },
    async () => {
      await using fleet = await CloudFleet.start("hetzner");
      succeeds(fleet);
      const change = (text: string): string =>
        text
          .replace("zone: example.com # yours", "zone: example.com # yours\n    ttl: 120")
          .replace(
            "location: fsn1\n",
            "location: fsn1\n      size: cax21\n      http: true\n      generation: 2\n      nodes: [{ hostName: relay.derp.example.com }]\n",
          );
      const back = (text: string): string =>
        text.replace("\n    ttl: 120", "").replace(/ {6}size: cax21\n.*\n.*\n.*\n/, "");
      await fleet.clouds.forgetCalls();
      fleet.edit(change);
      succeeds(fleet);
      const faults = kindsOf(await fleet.clouds.calls());
      const text = faults.map(({ method, path }) => `${method} ${path}`).join("\n");
      for (const call of [
        /DELETE .*servers/,
        /POST .*servers\$/,
        /set_rules/,
        /change_dns_ptr/,
        /dns_records/,
      ]) {
        assert.match(text, call);
      }
      fleet.edit(back);
      succeeds(fleet);
      await failsAtEach(fleet, faults, change, back);
    },
  );

  test("a machine's type is changed in place, and again after each failure", { timeout }, async () => {
    await using fleet = await CloudFleet.start("hetzner");
    succeeds(fleet);
    const [server] = (await fleet.clouds.state()).hetzner["servers"] ?? [];
    const change = (text: string): string => text.replace("fsn1\n", "fsn1\n      size: cax21\n");
    const back = (text: string): string => text.replace("      size: cax21\n", "");
    await failsAtEach(fleet, [{ method: "POST", path: "change_type" }], change, back);
    const [now] = (await fleet.clouds.state()).hetzner["servers"] ?? [];
    assert.equal(now?.["id"], server?.["id"]);
  });

  test("at AWS, whichever call fails, the next up finishes the change", { timeout }, async () => {
    await using fleet = await CloudFleet.start("europe");
    fleet.edit((text) =>
      text.replace(/ {4}- id: 921[^]*?(?= {4}- id: 922)/, "").replace(/ {4}- id: 923[^]*$/, ""),
    );
    succeeds(fleet);
    const change = (text: string): string =>
      text.replace("wave: 2\n", "wave: 2\n      size: t4g.small\n      http: true\n      icmpEcho: false\n");
    const back = (text: string): string => text.replace(/ {6}size: t4g\.small\n.*\n.*\n/, "");
    const own = ["ModifyInstanceAttribute", "AuthorizeSecurityGroup"];
    await failsAtEach(fleet, own.map(awsCall), change, back);
    const rebuild = (text: string): string => text.replace("wave: 2\n", "wave: 2\n      generation: 2\n");
    const asItWas = (text: string): string => text.replace("      generation: 2\n", "");
    const again = ["TerminateInstances", "RunInstances", "DetachVolume", "AttachVolume"];
    await failsAtEach(fleet, again.map(awsCall), rebuild, asItWas);
  });
});

const awsCall = (action: string): Pick<Fault, "method" | "path"> => ({ method: "AWS", path: `^${action}$` });

describe("trouble with an account", { skip, timeout }, () => {
  const troubles: Readonly<Record<string, Partial<Fault> & { readonly says: RegExp }>> = {
    "the limit of an account": {
      status: 403,
      code: "resource_limit_exceeded",
      message: "server limit exceeded",
      says: /derp-901-901a-server[^]*server limit exceeded/,
    },
    "an API that is asked too much": {
      // The provider asks again some times by itself.
      times: 6,
      status: 429,
      code: "rate_limit_exceeded",
      message: "limit of 3600 requests per hour reached",
      says: /derp-901-901a-server[^]*limit of 3600 requests/,
    },
  };
  for (const [what, { says, ...fault }] of Object.entries(troubles)) {
    test(
      `${what} ends an up half-way with the resource's name, and the next goes on`,
      { timeout },
      async () => {
        await using fleet = await CloudFleet.start("hetzner");
        await fleet.clouds.fail({ method: "POST", path: "^(/v1)?/servers$", ...fault });
        const { status, text } = fleet.up();
        assert.notEqual(status, 0);
        assert.match(text, says);
        const made = await fleet.count();
        assert.deepEqual([made["servers"], made["primary_ips"], made["records"]], [undefined, 2, 3]);
        const second = fleet.up();
        assert.equal(second.status, 0, second.text);
        assert.deepEqual(await fleet.count(), { ...made, servers: 1 });
        assert.deepEqual(fleet.pendingOperations(), []);
      },
    );
  }

  test(
    "an API that does not answer what it sells is named before anything is made",
    { timeout },
    async () => {
      await using fleet = await CloudFleet.start("hetzner");
      await fleet.clouds.fail({
        method: "GET",
        path: "server_types",
        times: 6,
        status: 429,
        message: "later",
      });
      const { status, text } = fleet.try("preview");
      assert.notEqual(status, 0);
      assert.match(text, /Hetzner Cloud does not say what it sells: .*later/);
      assert.doesNotMatch(text, /^\s+at |unhandled/m);
    },
  );
});

test(
  "an up that is interrupted finishes what it had begun, and the next goes on from there",
  { skip, timeout },
  async () => {
    await using fleet = await CloudFleet.start("hetzner", {}, "--action-ms", "3000");
    const up = fleet.spawn("up", "--yes", "--skip-preview");
    const ended = once(up, "exit");
    await eventually("the server is being made", async () => (await fleet.count())["servers"] === 1);
    up.kill("SIGINT");
    const [status] = (await ended) as [number | null];
    assert.notEqual(status, 0);
    const second = fleet.up();
    assert.equal(second.status, 0, second.text);
    assert.deepEqual(await fleet.count(), {
      servers: 1,
      volumes: 1,
      firewalls: 1,
      primary_ips: 2,
      placement_groups: 1,
      records: 3,
    });
    assert.deepEqual(fleet.pendingOperations(), []);
  },
);
