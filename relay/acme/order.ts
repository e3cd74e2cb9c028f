/** One order, from what is wanted to the chain (RFC 8555, section 7.4). */
import { checkChain } from "./chain.ts";
import { AcmeFailure } from "./failure.ts";
import { type Order, orderSchema } from "./messages.ts";
import { look, lookWhile, type OrderContext, type Seen, sendOnce } from "./order-context.ts";
import { prove } from "./proof.ts";
import type { Task } from "./task.ts";

const maxChainBytes = 1_048_576;

/**
 * @param now unix milliseconds
 * @returns the chain in PEM, checked
 * @throws AcmeFailure, the signal's reason, or what `answer` or `finalizing` throws
 */
export async function placeOrder(context: OrderContext, now: () => number): Promise<string> {
  const placed = await createOrder(context);
  const ready = placed.body.status === "pending" ? await proveAll(context, placed) : placed;
  await context.request.finalizing?.();
  return download(context, await issue(context, ready), now());
}

async function proveAll(context: OrderContext, placed: Seen<Order>): Promise<Seen<Order>> {
  for (const url of placed.body.authorizations) await prove(context, url);
  const task = describeTask(context, "did not accept the proofs", "issuance");
  const again = async (): Promise<Seen<Order>> => look(context, placed.url, orderSchema, task);
  return lookWhile(context, await again(), again, ({ status }) => status === "pending");
}

async function createOrder(context: OrderContext): Promise<Seen<Order>> {
  const { replaces, step } = context.request;
  if (replaces === undefined || context.directory.renewalInfo === undefined) return postOrder(context);
  try {
    return await postOrder(context, replaces);
  } catch (error) {
    if (!(error instanceof AcmeFailure) || !mayBeOfReplaces(error)) throw error;
    step?.(`orders again without naming the certificate that is replaced: ${error.reason}`);
    return postOrder(context);
  }
}

/**
 * Whether the certificate to be replaced can be why: it was replaced before, is not the account's, or not this CA's. What
 * CAs then answer differs: Let's Encrypt says `malformed` or `unauthorized`, Pebble `serverInternal`.
 */
function mayBeOfReplaces({ kind, problemType }: AcmeFailure): boolean {
  return (
    kind === "replaced" ||
    kind === "malformed" ||
    problemType === "unauthorized" ||
    problemType === "serverInternal"
  );
}

async function postOrder(context: OrderContext, replaces?: string): Promise<Seen<Order>> {
  const { messenger, directory, account, request, signal } = context;
  const task = describeTask(context, "took no order", "order");
  const payload = {
    identifiers: request.identifiers.map(({ type, value }) => ({ type, value })),
    ...(request.profile === undefined ? {} : { profile: request.profile }),
    ...(replaces === undefined ? {} : { replaces }),
  };
  const reply = await messenger.post(
    { url: directory.newOrder, task, repeatable: false, by: { kid: account }, payload },
    signal,
  );
  return { url: messenger.location(reply, task), reply, body: messenger.read(reply, orderSchema, task) };
}

/** Finalizes an order that is ready and waits for the certificate. */
async function issue(context: OrderContext, ready: Seen<Order>): Promise<Seen<Order>> {
  const { messenger, account, request, signal } = context;
  const task = describeTask(context, "did not issue the certificate", "issuance");
  const again = async (): Promise<Seen<Order>> => look(context, ready.url, orderSchema, task);
  const payload = { csr: Buffer.from(request.csr).toString("base64url") };
  const question = { url: ready.body.finalize, task, repeatable: false, by: { kid: account }, payload };
  const send = async (): Promise<Seen<Order>> => {
    const reply = await messenger.post(question, signal);
    return { url: ready.url, reply, body: messenger.read(reply, orderSchema, task) };
  };
  const sent =
    ready.body.status === "ready" ? await sendOnce(send, again, ({ status }) => status !== "ready") : ready;
  const last = await lookWhile(
    context,
    sent,
    again,
    ({ status }) => status === "processing" || status === "ready",
  );
  if (last.body.status === "valid") return last;
  throw messenger.failWith(last.body.error, task);
}

async function download(context: OrderContext, { body }: Seen<Order>, now: number): Promise<string> {
  const { messenger, account, request, signal } = context;
  const task = describeTask(context, "did not hand out the certificate", "order");
  if (body.certificate === undefined) throw messenger.fail("answer", "it does not say where it is", task);
  const reply = await messenger.post(
    {
      url: body.certificate,
      task,
      repeatable: true,
      by: { kid: account },
      accept: "application/pem-certificate-chain",
      maxBytes: maxChainBytes,
    },
    signal,
  );
  const checked = checkChain(reply.body.toString("latin1"), request, now);
  if ("chain" in checked) return checked.chain;
  throw messenger.fail("answer", `what it handed out is not what was ordered: ${checked.fault}`, task);
}

function describeTask({ request }: OrderContext, text: string, phase: Task["phase"]): Task {
  const { identifiers, methods } = request;
  const names = identifiers.map(({ value }) => value).join(", ");
  const identifier = identifiers.length === 1 ? identifiers[0] : undefined;
  return { text: `${text} for ${names}`, phase, identifier, methods };
}
