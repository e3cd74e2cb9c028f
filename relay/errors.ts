/**
 * The one table of errors that a person can cause or meet. `docs/errors.md` is generated from it.
 *
 * `exit` is the exit status of a command that ends with the error: 1 found a problem, 2 could not run.
 */
export const errorTable = {
  usage: { exit: 2, summary: "The command line has a mistake.", fix: "Run the command with --help." },
  "node-too-old": {
    exit: 2,
    summary: "This Node.js cannot run the project's TypeScript.",
    fix: "Run the command through npm, which brings the pinned Node.js, or install Node.js 24.",
  },
  "stack-not-found": {
    exit: 2,
    summary: "There is no such stack file.",
    fix: "Give --stack the name of a Pulumi.<name>.yaml in this folder, or the path of such a file.",
  },
  "file-unreadable": {
    exit: 2,
    summary: "A file cannot be read or written.",
    fix: "Check the path, its permissions, and that the disk has room.",
  },
  "config-invalid": {
    exit: 1,
    summary: "The configuration has mistakes; each is listed with its path.",
    fix: "Mend each listed entry; docs/configuration.md describes them all.",
  },
  "key-file-invalid": {
    exit: 1,
    summary: "The relay's key file is not in derper's format.",
    fix: 'It has to read {"PrivateKey": "privkey:<64 hex digits>"}; restore it from a backup, or move it away to get a new key.',
  },
  "mesh-key-invalid": {
    exit: 1,
    summary: "The mesh key file does not hold mesh keys.",
    fix: "It has to hold 64 hex digits, or several such lines; make a key with `openssl rand -hex 32`.",
  },
  "rate-config-invalid": {
    exit: 1,
    summary: "The rate config is not derper's JSON.",
    fix: 'It has to read {"PerClientRateLimitBytesPerSec": N, "PerClientRateBurstBytes": M}; both are optional.',
  },
  "certificate-invalid": {
    exit: 1,
    summary: "The certificate or its key cannot be used.",
    fix: "Check that the files are PEM, belong together, are valid today and name the relay's host name.",
  },
  "certificate-store": {
    exit: 1,
    summary: "The certificate folder cannot be read or written, so that no certificate is ordered.",
    fix: "Let the relay's user write to the folder, and make room on its disk; the relay goes on with what it has.",
  },
  "cloud-credentials": {
    exit: 2,
    summary: "There are no credentials for a cloud.",
    fix: "Set them in the environment, or with `pulumi config set --secret`.",
  },
  "cloud-unreachable": {
    exit: 2,
    summary: "A cloud does not answer, or refuses to.",
    fix: "Check the credentials and the network, and try again: what was made is remembered.",
  },
  "size-unavailable": {
    exit: 1,
    summary: "A type of machine cannot be ordered at its place.",
    fix: "Give the region another size, or another location.",
  },
  "dns-zone": {
    exit: 1,
    summary: "The DNS zone is not in the account that the token belongs to.",
    fix: "Check derpkit:dns.zone, and that the token may read the zone and edit its records.",
  },
  "region-in-use": {
    exit: 1,
    summary: "A region that is in use has left the configuration.",
    fix:
      "Put it back. To take it out of service set state: draining, then state: retired, each with `pulumi up` and the new " +
      "derpMap in the policy; a retired region may be removed (docs/operations.md).",
  },
  "region-not-ready": {
    exit: 1,
    summary: "A region cannot take its next step yet.",
    fix: "Run `npm run retire` again when what it waits for is so (docs/operations.md).",
  },
  "runtime-unusable": {
    exit: 1,
    summary: "The runtime that a release brings cannot be used.",
    fix: "Publish the release again; the node goes on with the one that runs.",
  },
  "secret-unreadable": {
    exit: 1,
    summary: "A secret of the machine cannot be read.",
    fix: "Run `pulumi up`, which makes the parameter and the role that may read it; the machine asks again by itself.",
  },
  "runtime-unreachable": {
    exit: 2,
    summary: "The runtime that machines are delivered cannot be fetched.",
    fix: "Check the network and its proxy (HTTPS_PROXY), and try again; it is fetched once and kept.",
  },
  "region-not-local": {
    exit: 2,
    summary: "A region's nodes are in a cloud, where this command does not reach.",
    fix: "Bring it up with `npm run pulumi -- up`; `npm start` is for stacks whose regions have cloud: local.",
  },
  "not-up-yet": {
    exit: 2,
    summary: "Something that only the cloud knows is needed, and is not known offline.",
    fix:
      "Bring the stack up, and give the command its nodes: `pulumi stack output nodes --json | npm run bundle -- --nodes -`; or give " +
      "the nodes DNS names of their own instead of certificates: acme-ip.",
  },
  "port-in-use": {
    exit: 1,
    summary: "A port that a relay needs is taken.",
    fix: "Stop the program that holds it, or choose another port in the stack file.",
  },
  "listen-failed": {
    exit: 1,
    summary: "A relay could not open one of its sockets.",
    fix: "Check the listen address, and that the process may bind the port.",
  },
  "sockets-invalid": {
    exit: 1,
    summary: "The sockets that systemd passes are not those that a relay takes.",
    fix:
      "Give each socket unit one socket and the FileDescriptorName= that says what it is for: derp (ListenStream=), " +
      "stun (ListenDatagram=), http (ListenStream=); BindIPv6Only=both makes one socket do for IPv4 and IPv6.",
  },
  "relay-exited": {
    exit: 1,
    summary: "A relay ended without being asked to.",
    fix: "Read the last lines it printed, which are shown with this error.",
  },
  "relay-not-ready": {
    exit: 1,
    summary: "A relay did not become healthy in time.",
    fix: "Read what it printed; check that its ports can be reached.",
  },
  "verify-failed": {
    exit: 1,
    summary: "A relay failed at least one check.",
    fix: "See the failed checks' details.",
  },
  "derpmap-invalid": {
    exit: 2,
    summary: "The derpMap cannot be used.",
    fix: "Give a JSON file that holds a derpMap, or an object with a member derpMap.",
  },
  "derpmap-unfit": {
    exit: 1,
    summary: "The derpMap has mistakes, and no tailnet may be given it; each is listed with its path.",
    fix: "Mend each listed entry where the map comes from, a stack's file or a map of your own.",
  },
  "derpmap-collision": {
    exit: 1,
    summary: "Two maps claim the same region, name or address.",
    fix: "Change one of the two that each entry names: its stack's file, or the map that was given.",
  },
  "policy-invalid": {
    exit: 1,
    summary: "The tailnet policy cannot be read.",
    fix: "Mend it at the line and column that are named; Tailscale refuses it as well.",
  },
  "policy-conflict": {
    exit: 1,
    summary: "What is ours in the tailnet policy is not as we left it, so that nothing was changed.",
    fix:
      "See what was edited, and by whom. Then undo it in the policy, or take it over into the stack; what was pushed last is given " +
      "as --base (docs/policy.md).",
  },
  "policy-refused": {
    exit: 1,
    summary: "The tailnet's policy service does not take the policy, so that nothing was changed.",
    fix: "Mend what it names, in the stack or in the policy; `npm run policy -- check` asks it again.",
  },
  "policy-contended": {
    exit: 1,
    summary: "Somebody else changes the policy all the time, so that nothing was changed.",
    fix: "Run the command again when they are done.",
  },
  "policy-unconfirmed": {
    exit: 1,
    summary: "It is not known whether the policy was changed.",
    fix: "Run `npm run policy -- diff`, which shows it, and then push again: a push that arrived is recognised.",
  },
  "nothing-to-revert": {
    exit: 1,
    summary: "There is no push from here that could be taken back.",
    fix: "Push the map that you want; earlier texts of the policy are in .derpkit/policy/.",
  },
  "tailnet-credentials": {
    exit: 2,
    summary: "There are no credentials for the Tailscale API that can be used.",
    fix: "Set those of an OAuth client with the scope policy_file, or an API key, in the environment (docs/policy.md).",
  },
  "tailnet-denied": {
    exit: 2,
    summary: "The Tailscale API refuses what it is asked for.",
    fix: "Check that the credentials are for this tailnet, have not ended, and have the scope policy_file (policy_file:read to look).",
  },
  "tailnet-unreachable": {
    exit: 2,
    summary: "The Tailscale API does not answer as it should.",
    fix: "Check the network, its proxy (HTTPS_PROXY) and --api, and try again.",
  },
  "build-failed": {
    exit: 1,
    summary: "The relay could not be bundled.",
    fix: "See the messages of the bundler.",
  },
  "manifest-malformed": {
    exit: 1,
    summary: "A release manifest cannot be read.",
    fix: "Publish the bundle again; a manifest is never edited by hand.",
  },
  "manifest-signature": {
    exit: 1,
    summary: "A release manifest is not signed by a trusted key.",
    fix: "Publish it with the stack's signing key; if nobody changed keys, treat it as tampering.",
  },
  "manifest-replayed": {
    exit: 1,
    summary: "A release manifest is older than the one already accepted.",
    fix: "Publish again; going back to old content needs a new, higher sequence.",
  },
  "manifest-foreign": {
    exit: 1,
    summary: "A release manifest is for another stack, region or node.",
    fix: "Check the delivery address of the node.",
  },
  "secrets-malformed": {
    exit: 1,
    summary: "A node's sealed secrets cannot be read.",
    fix: "Run `pulumi up` again, which seals them anew; the node goes on with those it has.",
  },
  "secrets-signature": {
    exit: 1,
    summary: "A node's sealed secrets are not signed by a trusted key.",
    fix: "Seal them with the stack's signing key; if nobody changed keys, treat it as tampering.",
  },
  "secrets-replayed": {
    exit: 1,
    summary: "A node's sealed secrets are older than those it has already accepted.",
    fix: "Run `pulumi up` again; going back to earlier values needs a new, higher sequence.",
  },
  "secrets-foreign": {
    exit: 1,
    summary: "A node's sealed secrets are for another node, or for a relay key that it no longer has.",
    fix: "Run `pulumi up` again, which reads the node's key anew; check the delivery address of the node.",
  },
  "bundle-tampered": {
    exit: 1,
    summary: "A file of the bundle does not have the digest that the signed manifest gives.",
    fix: "Publish the bundle again; if nobody did so, treat it as tampering.",
  },
  "delivery-unreadable": {
    exit: 1,
    summary: "The place that bundles are delivered to cannot be read, or lacks a file.",
    fix: "Check the delivery address and its permissions, and publish the bundle again.",
  },
  "release-failed": {
    exit: 1,
    summary: "A release failed on this node before and is not tried again.",
    fix: "Publish a mended release. To have the same one tried again, publish another in between.",
  },
  "updater-state-invalid": {
    exit: 1,
    summary: "The updater's memory of what it accepted cannot be read, so it accepts nothing.",
    fix: "Restore the file from a backup. Without it the node would accept any manifest that was ever signed; remove it only if that is acceptable.",
  },
  "signing-key-invalid": {
    exit: 1,
    summary: "A signing key, or a key to trust, is not an Ed25519 key.",
    fix: "Restore the key from a backup; nodes trust no other.",
  },
  "signing-key-untrusted": {
    exit: 1,
    summary: "The signing key is none of those that the stack's machines trust.",
    fix:
      "Sign with the key whose public half derpkit:trustedKeys has: the stack's secret derpkit:signingKey, or without one " +
      ".derpkit/local/<stack>/signing.key. A stack that has no machines yet gets both from `npm run keys -- init` (docs/keys.md).",
  },
  "signing-key-exists": {
    exit: 1,
    summary: "The stack has a signing key already.",
    fix: "To change it run `npm run keys -- rotate`; docs/keys.md says what to do when it is lost.",
  },
  "signing-key-missing": {
    exit: 1,
    summary: "The stack has no signing key.",
    fix: "Run `npm run keys -- init`; docs/keys.md says what to do when the key is lost.",
  },
  "pulumi-missing": {
    exit: 2,
    summary: "The Pulumi CLI is not installed.",
    fix: "Install it (https://www.pulumi.com/docs/install/), or use `npm run plan`, which needs none.",
  },
  "git-failed": {
    exit: 2,
    summary: "Git did not do what it was asked for.",
    fix: "See what it says; without --commit the command needs no Git.",
  },
  "pulumi-failed": {
    exit: 2,
    summary: "The Pulumi CLI did not do what it was asked for.",
    fix: "See what it says, mend that, and run the command again.",
  },
} as const satisfies Record<string, { exit: 1 | 2; summary: string; fix: string }>;

export type ErrorCode = keyof typeof errorTable;

/** One mistake among several, as in a configuration that is reported all at once. */
export interface Problem {
  /** Where: a path such as `derpkit:regions[0].nodes[1].derpPort`, or a file with a line. */
  readonly path: string;
  /** What is wrong, and how to mend it: one sentence each. */
  readonly message: string;
}

export interface KitErrorOptions {
  /** What exactly failed; a full sentence. */
  readonly message?: string;
  /** Where: a file, a node, an address. */
  readonly where?: string;
  /** How to mend it, when the table's advice can be bettered. */
  readonly fix?: string;
  readonly problems?: readonly Problem[];
  readonly cause?: unknown;
}

/** A failure that a person can mend. It is shown without a stack; every other error is a bug of ours and shows one. */
export class KitError extends Error {
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly fix: string;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, options: KitErrorOptions = {}) {
    super(options.message ?? errorTable[code].summary, { cause: options.cause });
    this.name = "KitError";
    this.code = code;
    this.where = options.where;
    this.fix = options.fix ?? errorTable[code].fix;
    this.problems = options.problems ?? [];
  }

  /** The exit status of a command that ends with this error. */
  get exit(): 1 | 2 {
    return errorTable[this.code].exit;
  }
}

/** Renders a failure for a person: what, where, each problem, how to mend it. Several lines, no trailing newline. */
export function renderError(error: unknown): string {
  if (!(error instanceof KitError)) {
    return error instanceof Error ? (error.stack ?? error.message) : `unexpected failure: ${String(error)}`;
  }
  const where = error.where === undefined ? "" : `${error.where}: `;
  const problems = error.problems.map(({ path, message }) => `  ${path}: ${message}`);
  const cause = error.cause instanceof Error ? [`  because: ${error.cause.message}`] : [];
  return [`${where}${error.message} [${error.code}]`, ...problems, ...cause, `  mend: ${error.fix}`].join(
    "\n",
  );
}
