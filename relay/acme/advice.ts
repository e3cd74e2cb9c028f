/** What a person can do about a failure: one sentence or two. */
import { renderCaa } from "./caa.ts";
import type { AcmeFailureKind } from "./failure.ts";
import type { Authority, Task } from "./task.ts";

/** @param problemType as in AcmeFailure: it tells apart what one kind holds together */
export function advise(
  kind: AcmeFailureKind,
  problemType: string | undefined,
  authority: Authority,
  task: Task,
): string {
  const name = task.identifier?.value ?? "the name";
  const port = task.method === "http-01" ? "TCP 80" : "TCP 443";
  const isAddress = task.identifier?.type === "ip";
  const pointsHere = isAddress ? "" : `, and that every A and AAAA record of ${name} points at this machine`;
  return advice[kind]({ name, port, pointsHere, problemType, authority, task });
}

interface About {
  readonly name: string;
  /** Where the CA looked. */
  readonly port: string;
  readonly pointsHere: string;
  readonly problemType: string | undefined;
  readonly authority: Authority;
  readonly task: Task;
}

const advice: Readonly<Record<AcmeFailureKind, (about: About) => string>> = {
  unreachable: ({ authority: { host } }) =>
    `Check that this machine can open connections to ${host}, and that its DNS works.`,
  timeout: () => "If it happens again, see whether the CA reports an outage.",
  answer: () =>
    "Check that --acme-directory is the URL of an ACME directory, and that no proxy answers in its place.",
  server: () => "The fault is the CA's; see whether it reports an outage.",
  "rate-limited": () => "No order helps before the limit is over.",
  account: ({ problemType }) => accountAdvice.get(problemType) ?? anyAccountAdvice,
  profile: () => "Give --acme-profile a profile that the CA offers, or an empty one to name none.",
  replaced: () => "It has to be ordered without naming the one that it replaces.",
  refused: ({ name }) =>
    `This CA does not issue for ${name}: check how it is written, or use another CA (--acme-directory).`,
  caa: adviseCaa,
  dns: ({ name }) =>
    `Check that an A or AAAA record of ${name} points at this machine, and that its DNS servers answer.`,
  connection: ({ name, port, pointsHere }) =>
    `The CA has to reach ${port} of ${name} from the Internet: check the firewall${pointsHere}.`,
  tls: adviseProof,
  unauthorized: adviseProof,
  method: () => "Use a CA that offers tls-alpn-01, or http-01 where port 80 is open.",
  malformed: () => "The relay and this CA misunderstand each other: please report it, with the CA's name.",
};

const accountAdvice: ReadonlyMap<string | undefined, string> = new Map([
  [
    "externalAccountRequired",
    "This CA wants an account at its own site first: give the --acme-eab-kid and --acme-eab-key that it shows there.",
  ],
  ["invalidContact", "Check --acme-email."],
  ["unsupportedContact", "Check --acme-email."],
  ["userActionRequired", "Do what the CA asks for."],
]);
const anyAccountAdvice =
  "Check --acme-eab-kid and --acme-eab-key if the CA gave you such. If it closed the account, move the account's key away: a new account is then made.";

function adviseProof({ name, port, pointsHere }: About): string {
  return `The CA has to meet this relay on ${port} of ${name}: check that no proxy stands in front of it${pointsHere}.`;
}

function adviseCaa({ name, authority: { caaIdentity }, task }: About): string {
  const record =
    caaIdentity === undefined
      ? "one that names this CA, as its documentation says"
      : `\`${name} CAA ${renderCaa(caaIdentity, task.methods)}\``;
  return `The CAA records of ${name}, or of a domain above it, keep this CA from issuing: add ${record}.`;
}
