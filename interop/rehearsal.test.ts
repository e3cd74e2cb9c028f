/**
 * A region's whole life with real clients: added, made to serve, edited, drained in both ways, retired and removed, by the
 * commands that an operator types, while two clients exchange packets all the time and two lie idle.
 */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { whyNoControlServer } from "./control-server.ts";
import { eventually } from "./eventually.ts";
import { Cast, limitMs } from "./rehearsal-cast.ts";
import { RehearsalFleet, type RehearsedRegion } from "./rehearsal-fleet.ts";
import { whyNoClouds } from "./simcloud.ts";
import { whyNoTailscaled } from "./tailscaled.ts";

const skip = whyNoClouds ?? whyNoTailscaled ?? whyNoControlServer ?? false;

/** The later, the nearer: a client leaves its home for a region that is nearer by a third and by 10 ms. */
const alfa: RehearsedRegion = { id: 901, code: "alfa", location: "eu-central-1", distanceMs: 300 };
const bravo: RehearsedRegion = { id: 902, code: "bravo", location: "eu-north-1", distanceMs: 600 };
const charlie: RehearsedRegion = { id: 903, code: "charlie", location: "eu-west-1", distanceMs: 10 };

/** Those whom a relay lets go may be without a path for longer than others. */
const letGoLimitMs = 40_000;

test(
  "a region is added, serves, is edited, drains, goes and is forgotten, and nobody is without a path for longer than 10 s",
  { skip, timeout: 900_000 },
  async (t) => {
    const fleet = await RehearsalFleet.start(t, [alfa, bravo, charlie]);
    fleet.configure("  derpkit:drainBy: score\n");
    fleet.edit((text) => text + fleet.render(alfa, "serving") + fleet.render(bravo, "serving"));
    fleet.setStatusToken();
    await fleet.up();
    await fleet.push();
    await using cast = await Cast.gather(t, fleet.control.url);
    await cast.areAt(alfa.code);

    await addAsCanary(t, fleet, cast);
    await makeServe(t, fleet, cast);
    await drainByScore(t, fleet, cast);
    await takeBack(t, fleet, cast);
    await retireAndRemove(t, fleet, cast);
    await rename(t, fleet, cast);
    await drainByNoHome(t, fleet, cast);
    await letGo(t, fleet, cast);

    for (const client of cast.all) {
      const ways = [...(await client.bytesByPath())].filter(([, bytes]) => bytes > 0).map(([way]) => way);
      assert.deepEqual(ways, ["derp"], client.name);
    }
    t.diagnostic(`${cast.packets.answered} of ${cast.packets.sent} packets were answered in all`);
  },
);

type Phase = (t: TestContext, fleet: RehearsalFleet, cast: Cast) => Promise<void>;

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** Pushes what the last `up` gave, and waits until everybody has it. @returns when clients began to get it */
async function pushToAll(fleet: RehearsalFleet, cast: Cast): Promise<number> {
  const { map, at } = await fleet.push();
  await cast.have(map);
  return at;
}

/** Tells for how long the busy ones had no path since then, which may not be long. */
async function boundSilence(
  t: TestContext,
  { packets }: Cast,
  phase: string,
  from: number,
  limit = limitMs,
): Promise<void> {
  const silence = await packets.longestSilence(from);
  t.diagnostic(`${phase}: busy clients were without a path for ${seconds(silence)} at most`);
  assert.ok(silence <= limit, `${phase}: ${seconds(silence)}`);
}

const addAsCanary: Phase = async (t, fleet, cast) => {
  fleet.edit((text) =>
    text.replace("derpkit:regions:\n", `derpkit:regions:\n${fleet.render(charlie, "canary")}`),
  );
  await fleet.up();
  const at = await pushToAll(fleet, cast);
  await fleet.staysAsItIs();
  await cast.areAt(alfa.code);
  for (const client of [...cast.busy, ...cast.idle]) {
    const { Info } = await client.debugRegion(charlie.code);
    assert.match(String(Info), /Successfully established a DERP connection/, client.name);
    assert.match(String(Info), /returned IPv4 STUN response/, client.name);
  }
  await boundSilence(t, cast, "a region was added as a canary", at);
};

const makeServe: Phase = async (t, fleet, cast) => {
  fleet.edit((text) => text.replace("state: canary # of charlie", "state: serving # of charlie"));
  await fleet.up();
  const at = await pushToAll(fleet, cast);
  const moved = await cast.areAt(charlie.code);
  t.diagnostic(`all clients were at home in the nearer region ${seconds(moved - at)} after the map`);
  await fleet.staysAsItIs();
  await boundSilence(t, cast, "a nearer region began to serve", at);
};

/** Takes the next step of a region, which changes its state in the stack file and nothing else. */
async function step(
  fleet: RehearsalFleet,
  { code }: RehearsedRegion,
  from: string,
  to: string,
): Promise<void> {
  const before = fleet.text;
  await fleet.succeed("retire", code);
  assert.equal(fleet.text, before.replace(`state: ${from} # of ${code}`, `state: ${to} # of ${code}`));
}

/** Runs `retire` where it may not take the next step. @returns what it wrote */
async function refuses(
  fleet: RehearsalFleet,
  { code }: RehearsedRegion,
  ...args: readonly string[]
): Promise<string> {
  const before = fleet.text;
  const { ended, text } = fleet.run("retire", code, ...args);
  assert.equal(await ended, 1, text());
  assert.equal(fleet.text, before);
  return text();
}

const drainByScore: Phase = async (t, fleet, cast) => {
  await step(fleet, charlie, "serving", "draining");
  assert.match(await refuses(fleet, charlie), /after the last `up` the region is serving/);
  await fleet.up();
  const at = await pushToAll(fleet, cast);
  const moved = await cast.areAt(alfa.code);
  t.diagnostic(
    `draining by score: all clients, busy and idle, had left ${seconds(moved - at)} after the map`,
  );
  await boundSilence(t, cast, "a region drained by its score", at);
  for (const client of cast.all) assert.ok(client.connectedAt(charlie.id) < at, `${client.name} was cut off`);
  t.diagnostic(`an idle client was heard after ${Math.round(await cast.speak())} ms`);
  await fleet.staysAsItIs();
};

const takeBack: Phase = async (t, fleet, cast) => {
  fleet.edit((text) => text.replace("state: draining # of charlie", "state: serving # of charlie"));
  await fleet.up();
  const at = await pushToAll(fleet, cast);
  const moved = await cast.areAt(charlie.code);
  t.diagnostic(
    `the drain was taken back: all clients were at home there ${seconds(moved - at)} after the map`,
  );
  await step(fleet, charlie, "serving", "draining");
  await fleet.up();
  await pushToAll(fleet, cast);
  await cast.areAt(alfa.code);
  await boundSilence(t, cast, "the drain was taken back and begun again", at);
};

const retireAndRemove: Phase = async (t, fleet, cast) => {
  await step(fleet, charlie, "draining", "retired");
  await fleet.up();
  assert.match(await refuses(fleet, charlie), /the tailnet policy has it/);
  const at = await pushToAll(fleet, cast);
  await fleet.staysAsItIs();
  const [before, entry] = [fleet.text, fleet.render(charlie, "retired")];
  assert.ok(before.includes(entry));
  await fleet.succeed("retire", charlie.code);
  assert.equal(fleet.text, before.replace(entry, ""));
  await fleet.up();
  await fleet.staysAsItIs();
  await boundSilence(t, cast, "a region that nobody was at was retired and deleted", at);
};

const rename: Phase = async (t, fleet, cast) => {
  await cast.fallSilent();
  fleet.edit((text) => text.replace("name: Region alfa", "name: Region Alfa"));
  await fleet.up();
  const at = await pushToAll(fleet, cast);
  await eventually("everybody has connected to the region again", () =>
    cast.all.every((client) => client.connectedAt(alfa.id) > at),
  );
  const back = Math.max(...cast.all.map((client) => client.connectedAt(alfa.id)));
  t.diagnostic(
    `an edit of a region reconnected all its clients; the last was back after ${seconds(back - at)}`,
  );
  await cast.areAt(alfa.code);
  await boundSilence(t, cast, "a region's name was edited", at);
};

const drainByNoHome: Phase = async (t, fleet, cast) => {
  fleet.edit((text) => text.replace("  derpkit:drainBy: score\n", ""));
  await step(fleet, alfa, "serving", "draining");
  await fleet.up();
  await cast.lieStill(alfa.id);
  const at = await pushToAll(fleet, cast);
  const moved = await cast.areAt(bravo.code, cast.idle);
  t.diagnostic(`draining by NoMeasureNoHome: idle clients had left ${seconds(moved - at)} after the map`);
  t.diagnostic(`an idle client was heard after ${Math.round(await cast.speak())} ms`);
  await fleet.staysAsItIs();
  await cast.areAt(alfa.code, cast.busy);
  await boundSilence(t, cast, "a region drained by NoMeasureNoHome, where busy clients stay", at);
};

const letGo: Phase = async (t, fleet, cast) => {
  const before = fleet.text;
  const waiting = fleet.run("retire", alfa.code);
  await eventually("it waits for the busy ones", () => /2 at home/.test(waiting.text()));
  waiting.child.kill("SIGINT");
  assert.equal(await waiting.ended, 2, waiting.text());
  assert.equal(fleet.text, before);

  const from = performance.now();
  const said = await fleet.succeed("retire", alfa.code, "--max-wait", "5s");
  assert.match(said, /let 2 clients go within .* s, and refuse each for 40 s/);
  assert.equal(fleet.text, before.replace("state: draining # of alfa", "state: retired # of alfa"));
  await cast.areAt(bravo.code);
  await boundSilence(t, cast, "the relay let go who was left", from, letGoLimitMs);
  await fleet.up();
  const at = await pushToAll(fleet, cast);
  await cast.areAt(bravo.code);
  await boundSilence(t, cast, "the region that they had left was retired", at);
};
