/** Pushes to a policy service of the test's own, over real sockets. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { type ErrorCode, KitError, renderError } from "../../relay/errors.ts";
import {
  type Answer,
  forever,
  garbage,
  hangUp,
  reply,
  silence,
} from "../../relay/outbound/testing/servers.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { PolicyApi } from "../tailnet/policy-api.ts";
import type { DerpPart } from "./derp-part.ts";
import { policyFile } from "./file-place.ts";
import { Keep } from "./keep.ts";
import { parsePart } from "./map-file.ts";
import type { Ours } from "./merge.ts";
import { compare, push, revert } from "./push.ts";
import { parseByOracle } from "./testing/oracle.ts";
import { apiKey, nameOf, type PolicyService, startPolicyService, tagOf } from "./testing/policy-service.ts";

const policy = `{
  // Who may do what.
  "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
}
`;

/** Silence is waited for; all else has come long before, also on a busy machine. In milliseconds. */
const timeoutFor = (answer: Answer): number => (answer === silence ? 600 : 10_000);

function part(...codes: readonly string[]): DerpPart {
  const regions = codes.map((code, index) => [
    String(901 + index),
    { RegionID: 901 + index, RegionCode: code },
  ]);
  return parsePart(JSON.stringify({ Regions: Object.fromEntries(regions) }), "map.json");
}

interface Stage {
  readonly service: PolicyService;
  readonly api: PolicyApi;
  readonly keep: Keep;
  readonly folder: string;
  readonly waits: number[];
  /** As a command does: with what is kept as its base. */
  readonly pushed: (wanted: DerpPart, more?: Partial<Ours>) => Promise<string | undefined>;
}

async function stage(t: TestContext, timeoutMs = 10_000): Promise<Stage> {
  const service = await startPolicyService(t, policy);
  const folder = path.join(temporaryFolder(t), "policy");
  const waits: number[] = [];
  const api = new PolicyApi({
    baseUrl: service.server.url,
    tailnet: "-",
    credentials: { kind: "key", key: apiKey },
    scope: "policy_file",
    timeoutMs,
    env: {},
    wait: async (ms) => void waits.push(ms),
  });
  let time = 0;
  const keep = new Keep(folder, "prod", () => new Date(time++));
  const pushed: Stage["pushed"] = async (wanted, more = {}) => {
    const bases = await keep.readBases();
    const ours = { wanted, owned: new Set(["901", "902"]), bases, adopt: false, ...more };
    return (await push(api, keep, ours, forever)).previous;
  };
  return { service, api, keep, folder, waits, pushed };
}

/** What a person is shown of a failure; it holds no secret. */
async function failure(work: Promise<unknown>, code: ErrorCode): Promise<string> {
  const error: unknown = await work.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KitError, String(error));
  assert.equal(error.code, code, renderError(error));
  assert.doesNotMatch(renderError(error), /CANARY/);
  return renderError(error);
}

function regionsOf(text: string): unknown {
  return Object(parseByOracle(text)).derpMap?.Regions;
}

/** Answers the first so many requests of a name otherwise. */
function faultAt(name: string, answer: Answer, times = Infinity): PolicyService["fault"] {
  return (request, nth) => (nameOf(request) === name && nth <= times ? answer : undefined);
}

test("a push reads, has it judged, writes over that very version, and looks", async (t) => {
  const { service, pushed, folder } = await stage(t);
  const previous = (await pushed(part("alfa"))) ?? assert.fail();
  assert.deepEqual(service.asked(), ["GET acl", "POST acl/validate", "POST acl", "GET acl"]);
  const [look, judge = assert.fail(), write = assert.fail()] = service.server.received;
  assert.equal(look?.headers.accept, "application/hujson");
  assert.equal(write.headers["if-match"], tagOf(policy));
  assert.equal(write.headers["content-type"], "application/hujson");
  assert.equal(write.body, judge.body);
  assert.ok(service.text.startsWith(policy.slice(0, -2)));
  assert.deepEqual(regionsOf(service.text), { "901": { RegionID: 901, RegionCode: "alfa" } });
  assert.equal(readFileSync(previous, "utf8"), policy);
  for (const file of readdirSync(folder)) {
    assert.equal(
      process.platform === "win32" || (statSync(path.join(folder, file)).mode & 0o777) === 0o600,
      true,
    );
    assert.doesNotMatch(readFileSync(path.join(folder, file), "utf8"), /CANARY/);
  }
});

test("what is there already is not written, and what was pushed is changed and removed", async (t) => {
  const { service, pushed } = await stage(t);
  await pushed(part("alfa"));
  const once = service.text;
  assert.equal(await pushed(part("alfa")), undefined);
  assert.equal(service.text, once);
  await pushed(part("alfa2", "bravo"));
  assert.deepEqual(Object.keys(Object(regionsOf(service.text))), ["901", "902"]);
  await pushed(part());
  assert.deepEqual(regionsOf(service.text), {});
});

test("what others edit stays, and what they edit of ours is refused, and written by nobody", async (t) => {
  const { service, pushed } = await stage(t);
  await pushed(part("alfa"));
  service.text = service.text.replace("// Who may do what.", "// Whoever may do whatever.");
  await pushed(part("alfa2"));
  assert.match(service.text, /Whoever may do whatever/);
  const edited = service.text.replace("alfa2", "mallory");
  service.text = edited;
  assert.match(
    await failure(pushed(part("alfa3")), "policy-conflict"),
    /region 901 alfa2 was edited by hand/,
  );
  assert.equal(service.text, edited);
});

test("without a base nothing that is there is overwritten, unless one says that it is ours", async (t) => {
  const { service, pushed } = await stage(t);
  service.text = `{"derpMap": {"Regions": {"901": {"RegionID": 901, "RegionCode": "alfa", "RegionName": "x"}}}}`;
  const before = service.text;
  assert.match(await failure(pushed(part("alfa")), "policy-conflict"), /nothing shows that we pushed it/);
  assert.equal(service.text, before);
  await pushed(part("alfa"), { adopt: true });
  assert.deepEqual(regionsOf(service.text), { "901": { RegionID: 901, RegionCode: "alfa" } });
});

test("412 once: the edit that was faster is merged, not lost", async (t) => {
  const { service, pushed, folder } = await stage(t);
  service.fault = (request, nth) => {
    if (nameOf(request) === "POST acl" && nth === 1) service.text = policy.replace("Who", "WHO");
    return undefined;
  };
  await pushed(part("alfa"));
  assert.match(service.text, /WHO may do what/);
  assert.match(service.text, /alfa/);
  assert.equal(service.asked().filter((each) => each === "POST acl").length, 2);
  assert.equal(readdirSync(folder).filter((file) => file.endsWith(".hujson")).length, 1);
});

test("412 always: after three more merges it is said, and nothing is written or kept", async (t) => {
  const { service, pushed, folder } = await stage(t);
  service.fault = faultAt("POST acl", reply(412));
  await failure(pushed(part("alfa")), "policy-contended");
  assert.equal(service.asked().filter((each) => each === "POST acl").length, 4);
  assert.equal(service.text, policy);
  assert.deepEqual(readdirSync(folder), []);
});

test("an edit of ours that was faster is not overwritten", async (t) => {
  const { service, pushed } = await stage(t);
  service.fault = (request, nth) => {
    if (nameOf(request) !== "POST acl" || nth > 1) return undefined;
    service.text = '{"derpMap": {"Regions": {"901": {"RegionCode": "mallory"}}}}';
    return undefined;
  };
  await failure(pushed(part("alfa")), "policy-conflict");
  assert.match(service.text, /mallory/);
});

for (const [status, code, words] of [
  [401, "tailnet-denied", /answers 401.*\n.*have ended/],
  [403, "tailnet-denied", /answers 403.*\n.*scope policy_file/],
  [404, "tailnet-denied", /answers 404.*\n.*TS_TAILNET/],
  [307, "tailnet-unreachable", /answers 307/],
] as const) {
  for (const name of ["GET acl", "POST acl/validate", "POST acl"]) {
    test(`${status} to ${name}: it is said what to do, and nothing is written`, async (t) => {
      const { service, pushed, folder } = await stage(t);
      service.fault = faultAt(name, reply(status, `{"message":"${apiKey}"}`, { Location: "/elsewhere" }));
      assert.match(await failure(pushed(part("alfa")), code), words);
      assert.equal(service.text, policy);
      assert.equal(service.asked().filter((each) => each === name).length, 1);
      assert.ok(!service.asked().includes("GET /elsewhere"));
      assert.deepEqual(existsSync(folder) ? readdirSync(folder) : [], []);
    });
  }
}

test("a policy that is refused says why, in the service's words and without a secret", async (t) => {
  const words = {
    message: `test(s) failed ${apiKey}`,
    data: [{ user: "a@example.com", errors: ["no \u001B[2J access"] }],
  };
  for (const [name, status] of [
    ["POST acl/validate", 200],
    ["POST acl/validate", 422],
    ["POST acl", 422],
    ["POST acl", 400],
  ] as const) {
    const { service, pushed } = await stage(t);
    service.fault = faultAt(name, reply(status, JSON.stringify(words)));
    const said = await failure(pushed(part("alfa")), "policy-refused");
    assert.match(
      said,
      /test\(s\) failed \[secret\] \[policy-refused\]\n {2}a@example\.com: no \[2J access\n/,
    );
    assert.equal(service.text, policy);
  }
});

test("a member of the map that the service does not know is no riddle: what to do without it is said", async (t) => {
  for (const [words, fix] of [
    [{ message: 'json: unknown field "HomeParams"' }, /take `derpkit:drainBy: score` out of the stack/],
    [
      { message: "invalid derpMap", data: [{ errors: ["noMeasureNoHome: unknown"] }] },
      /leave no region a canary/,
    ],
    [{ message: "no" }, /Mend what it names/],
  ] as const) {
    const { service, pushed } = await stage(t);
    service.fault = faultAt("POST acl/validate", reply(422, JSON.stringify(words)));
    assert.match(await failure(pushed(part("alfa")), "policy-refused"), fix);
  }
});

test("warnings are told and are in nobody's way", async (t) => {
  const { service, api, keep } = await stage(t);
  const data = [{ user: "a@example.com", warnings: ["group is empty"] }];
  service.fault = faultAt(
    "POST acl/validate",
    reply(200, JSON.stringify({ message: "warning(s) found", data })),
  );
  const ours = { wanted: part("alfa"), owned: new Set(["901"]), bases: [], adopt: false };
  assert.deepEqual((await push(api, keep, ours, forever)).warnings, ["a@example.com: group is empty"]);
});

test("429 is heeded for a while, and then it is said when to come back", async (t) => {
  for (const name of ["GET acl", "POST acl/validate", "POST acl"]) {
    const once = await stage(t);
    once.service.fault = faultAt(name, reply(429, "", { "Retry-After": "7" }), 1);
    await once.pushed(part("alfa"));
    assert.deepEqual(once.waits, [7_000]);
    assert.match(once.service.text, /alfa/);
    const always = await stage(t);
    always.service.fault = faultAt(name, reply(429, "", { "Retry-After": "7" }));
    assert.match(
      await failure(always.pushed(part("alfa")), "tailnet-unreachable"),
      /429[^]*Try again in 7 s/,
    );
    assert.equal(always.waits.length, 4);
    const long = await stage(t);
    long.service.fault = faultAt(name, reply(429, "", { "Retry-After": "3600" }));
    assert.match(await failure(long.pushed(part("alfa")), "tailnet-unreachable"), /Try again in 3600 s/);
    assert.deepEqual([long.waits, long.service.text], [[], policy]);
  }
});

test("what is no answer to a question is said, and nothing is written", async (t) => {
  for (const name of ["GET acl", "POST acl/validate"]) {
    for (const [answer, words] of [
      [reply(500), /answers 500/],
      [reply(503, "<html>"), /answers 503/],
      [hangUp, /no answer to/],
      [garbage, /no answer to/],
      [silence, /no answer within 0\.6 s/],
      [reply(200, "{", { "Content-Length": "9", ETag: '"x"' }), /cut off/],
      [reply(200, "<html>", name === "GET acl" ? {} : { ETag: '"x"' }), /without an ETag|is none/],
    ] as const) {
      const { service, pushed } = await stage(t, timeoutFor(answer));
      service.fault = faultAt(name, (response, request) => {
        answer(response, request);
        if (response.headersSent) response.socket?.end();
      });
      assert.match(await failure(pushed(part("alfa")), "tailnet-unreachable"), words);
      assert.equal(service.text, policy);
    }
  }
});

test("an ETag that guards nothing is none", async (t) => {
  for (const tag of ["*", "", '""']) {
    const { service, pushed } = await stage(t);
    service.fault = faultAt("GET acl", reply(200, policy, tag === "" ? {} : { ETag: tag }));
    assert.match(await failure(pushed(part("alfa")), "tailnet-unreachable"), /without an ETag/);
    assert.deepEqual(service.asked(), ["GET acl"]);
  }
});

/** What becomes of a write whose answer is lost: it is done, or it is not. */
const lost: readonly (readonly [what: string, answer: Answer])[] = [
  ["500", reply(500)],
  ["502", reply(502, "<html>")],
  ["a connection that is cut", hangUp],
  ["garbage", garbage],
  ["silence", silence],
];

for (const [what, answer] of lost) {
  test(`${what} after a write that arrived: looking shows that it did`, async (t) => {
    const { service, pushed, keep } = await stage(t, timeoutFor(answer));
    service.fault = (request) => {
      if (nameOf(request) !== "POST acl") return undefined;
      service.text = request.body;
      return answer;
    };
    assert.ok((await pushed(part("alfa"))) !== undefined);
    assert.deepEqual(await keep.readBases(), [part("alfa")]);
  });

  test(`${what} in the place of a write: looking shows that nothing happened`, async (t) => {
    const { service, pushed, keep, folder } = await stage(t, timeoutFor(answer));
    service.fault = faultAt("POST acl", answer);
    assert.match(await failure(pushed(part("alfa")), "tailnet-unreachable"), /The policy is as it was/);
    assert.deepEqual([service.text, readdirSync(folder), await keep.readBases()], [policy, [], []]);
  });

  test(`${what} after a write, and nobody can look: the next push knows it again, whatever became of it`, async (t) => {
    for (const arrives of [true, false]) {
      const { service, pushed } = await stage(t, timeoutFor(answer));
      await pushed(part("alfa"));
      service.fault = (request, nth) => {
        const name = nameOf(request);
        if (name === "POST acl" && nth === 2) {
          if (arrives) service.text = request.body;
          return answer;
        }
        return name === "GET acl" && nth === 4 ? hangUp : undefined;
      };
      assert.match(await failure(pushed(part("alfa", "bravo")), "policy-unconfirmed"), /not known whether/);
      service.fault = faultAt("POST acl", reply(403), 3);
      await failure(pushed(part("alfa3")), "tailnet-denied");
      service.fault = () => undefined;
      await pushed(part("alfa4"));
      assert.deepEqual(regionsOf(service.text), { "901": { RegionID: 901, RegionCode: "alfa4" } });
    }
  });
}

test("what is there after a write and is not what was written is said", async (t) => {
  const { service, pushed } = await stage(t);
  service.fault = faultAt("POST acl", reply(200));
  assert.match(await failure(pushed(part("alfa")), "policy-unconfirmed"), /is not what is there now/);
});

test("a service that lays the policy out anew, or somebody who edits the rest meanwhile, is no fault", async (t) => {
  const { service, pushed, api, keep } = await stage(t);
  service.fault = (request) => {
    if (nameOf(request) !== "POST acl") return undefined;
    service.text = JSON.stringify(parseByOracle(request.body));
    return reply(200);
  };
  await pushed(part("alfa"));
  service.fault = () => undefined;
  await revert(api, keep, forever);
  assert.equal(service.text, policy);
});

test("revert puts the text before back, byte for byte, and again that before", async (t) => {
  const { service, pushed, api, keep } = await stage(t);
  await pushed(part("alfa"));
  const first = service.text;
  await pushed(part("alfa", "bravo"));
  await revert(api, keep, forever);
  assert.equal(service.text, first);
  assert.equal(service.server.received.at(-2)?.headers["if-match"]?.length, 66);
  await pushed(part("alfa2"));
  await revert(api, keep, forever);
  assert.equal(service.text, first);
  await revert(api, keep, forever);
  assert.equal(service.text, policy);
  await failure(revert(api, keep, forever), "nothing-to-revert");
  await pushed(part("alfa"));
  assert.equal(service.text, first);
});

test("revert refuses over an edit, wherever it was made and however late", async (t) => {
  const { service, pushed, api, keep } = await stage(t);
  await pushed(part("alfa"));
  const pushedText = service.text;
  service.text += "// by hand\n";
  assert.match(await failure(revert(api, keep, forever), "policy-conflict"), /edited since the last push/);
  assert.equal(service.text, `${pushedText}// by hand\n`);
  service.text = pushedText;
  service.fault = (request) => {
    if (nameOf(request) === "POST acl") service.text += "// faster\n";
    return undefined;
  };
  await failure(revert(api, keep, forever), "policy-conflict");
  assert.equal(service.text, `${pushedText}// faster\n`);
});

test("a comparison writes nothing, and says what differs", async (t) => {
  const { service, api, folder } = await stage(t);
  const ours = { wanted: part("alfa"), owned: new Set(["901"]), bases: [], adopt: false };
  const { changes } = await compare(api, ours, forever);
  assert.deepEqual(changes, [{ what: "region 901 alfa", words: "added" }]);
  assert.deepEqual(service.asked(), ["GET acl"]);
  assert.throws(() => readdirSync(folder));
});

test("a file is pushed to and reverted like a tailnet", async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, "policy.hujson");
  writeFileSync(file, policy.replaceAll("\n", "\r\n"), { mode: 0o640 });
  const keep = new Keep(folder, "file");
  const ours = { wanted: part("alfa"), owned: new Set(["901"]), bases: [], adopt: false };
  await push(policyFile(file), keep, ours, forever);
  assert.match(readFileSync(file, "utf8"), /alfa/);
  assert.equal(process.platform === "win32" || (statSync(file).mode & 0o777) === 0o640, true);
  await revert(policyFile(file), keep, forever);
  assert.equal(readFileSync(file, "utf8"), policy.replaceAll("\n", "\r\n"));
});
