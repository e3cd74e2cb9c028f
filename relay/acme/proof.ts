/** The proof that a name is this machine's: one authorization of an order (RFC 8555, section 7.5). */
import { type ChallengeMethod, keyAuthorization } from "./challenge.ts";
import type { AcmeFailure } from "./failure.ts";
import { type Identifier, identify } from "./identifier.ts";
import { type Authorization, authorizationSchema, type Challenge } from "./messages.ts";
import { look, lookWhile, type OrderContext, type Seen, sendOnce } from "./order-context.ts";
import { cleanText } from "./problem.ts";
import type { Task } from "./task.ts";

/**
 * Reads an authorization and, unless it is valid from before, has the CA look at this relay's proof.
 *
 * @throws AcmeFailure, the signal's reason, or what `answer` throws
 */
export async function prove(context: OrderContext, url: string): Promise<void> {
  const { methods, step } = context.request;
  const reading: Task = { text: "does not say what it wants to see", phase: "order", methods };
  const seen = await look(context, url, authorizationSchema, reading);
  const identifier = findIdentifier(context, seen.body, reading);
  if (seen.body.status === "valid") {
    step?.(`${identifier.value} is proved from before`);
    return;
  }
  const chosen = chooseChallenge(context, seen.body, {
    text: `cannot validate ${identifier.value}`,
    phase: "validation",
    identifier,
    methods,
  });
  step?.(`proves ${identifier.value} by ${chosen.method}`);
  const last = seen.body.status === "pending" ? await offer(context, seen, chosen) : seen.body;
  if (last.status !== "valid") throw failureOf(context, last, chosen);
}

/** A challenge that this relay can answer. */
interface Chosen {
  readonly challenge: Challenge;
  readonly method: ChallengeMethod;
  readonly token: string;
  readonly identifier: Identifier;
  readonly task: Task;
}

async function offer(
  context: OrderContext,
  authorization: Seen<Authorization>,
  { challenge, method, token, identifier, task }: Chosen,
): Promise<Authorization> {
  const { messenger, account, thumbprint, request, signal } = context;
  const again = async (): Promise<Seen<Authorization>> =>
    look(context, authorization.url, authorizationSchema, task);
  const question = { url: challenge.url, task, repeatable: false, by: { kid: account }, payload: {} };
  using _ = await request.answer({
    identifier,
    method,
    token,
    keyAuthorization: keyAuthorization(token, thumbprint),
  });
  const first = await sendOnce(
    // The answer is the challenge; the authorization is as it was.
    async () => ({ ...authorization, reply: await messenger.post(question, signal) }),
    again,
    (body) => body.status !== "pending" || findChallenge(body, method)?.status !== "pending",
  );
  const last = await lookWhile(context, first, again, ({ status }) => status === "pending");
  return last.body;
}

function findIdentifier(
  { messenger, request }: OrderContext,
  { identifier }: Authorization,
  task: Task,
): Identifier {
  const { type, value } = identify(identifier.value);
  const ordered = request.identifiers.find((one) => one.type === type && one.value === value);
  if (ordered !== undefined) return ordered;
  throw messenger.fail("answer", `it asks about ${cleanText(identifier.value)}, which was not ordered`, task);
}

function chooseChallenge(
  { messenger, request }: OrderContext,
  authorization: Authorization,
  task: Task & { readonly identifier: Identifier },
): Chosen {
  const { identifier } = task;
  for (const method of request.methods) {
    const challenge = findChallenge(authorization, method);
    const token = challenge?.token;
    if (challenge === undefined || token === undefined) continue;
    const text = `did not validate ${identifier.value} by ${method}`;
    return { challenge, method, token, identifier, task: { ...task, text, method } };
  }
  const offered = cleanText(authorization.challenges.map(({ type }) => type).join(", "));
  const ours = request.methods.join(", ");
  throw messenger.fail(
    "method",
    `it offers ${offered || "no proof"}, and this relay ${ours || "has none"}`,
    task,
  );
}

function findChallenge({ challenges }: Authorization, method: ChallengeMethod): Challenge | undefined {
  return challenges.find(({ type }) => type === method);
}

/** The challenge's error; that of another one if the authorization failed by it before. */
function failureOf({ messenger }: OrderContext, last: Authorization, { method, task }: Chosen): AcmeFailure {
  const failed = findChallenge(last, method)?.error ?? last.challenges.find(({ error }) => error)?.error;
  if (last.status === "invalid") return messenger.failWith(failed, task);
  return messenger.fail("answer", `it calls the authorization ${last.status}`, task);
}
