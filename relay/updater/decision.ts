/** What a manifest means to a node: a pure function of what the node remembers and of the bytes that were fetched. */
import { KitError } from "../errors.ts";
import { type Manifest, sha256Hex } from "./manifest.ts";
import { type ReleaseContent, releaseDigest, selectRelease } from "./release.ts";
import { openManifest, type SignedManifest } from "./signed-manifest.ts";
import { acceptManifest, type UpdaterState } from "./state.ts";
import { type BootKeys, effectiveKeys, keepKeys } from "./trusted-keys.ts";

/** Who the node is. A manifest for anybody else is refused, whoever signed it. */
export interface Identity {
  readonly stack: string;
  /** The region's code. */
  readonly region: string;
  /** The node's name. */
  readonly node: string;
}

/** What a manifest that is accepted means. `state` is to be remembered before anything else is done. */
export type Decision = { readonly state: UpdaterState } & (
  | { readonly kind: "unchanged"; readonly release: ReleaseContent }
  | { readonly kind: "install"; readonly release: ReleaseContent; readonly digest: string }
  | { readonly kind: "failed"; readonly reason: KitError }
);

/** A release that was begun so often and never ended takes the updater down with it. */
const maxInterruptedTrials = 3;

/**
 * Decides about a manifest: `unchanged` if the node's good release is what it asks for, `failed` if that is a release
 * that failed here before, else `install`.
 *
 * @param boot the keys that the machine was booted with; what the node remembers may say that others count
 * @throws KitError, the reason for not accepting the manifest: `manifest-signature`, `manifest-malformed`,
 *   `manifest-foreign`, `manifest-replayed`
 */
export function decide(
  known: UpdaterState,
  identity: Identity,
  boot: BootKeys,
  fetched: SignedManifest,
): Decision {
  const manifest = openManifest(fetched, effectiveKeys(boot, known));
  const release = releaseFor(identity, manifest);
  const accepted = { sequence: manifest.sequence, sha256: sha256Hex(fetched.manifest) };
  refuseReplayed(known.accepted, accepted);
  const digest = releaseDigest(release);
  const state = acceptManifest(known, accepted, digest, keepKeys(boot, known, manifest.trustedKeys));
  if (state.good === digest) return { kind: "unchanged", state, release };
  const reason = earlierFailure(state, release.version);
  return reason === undefined
    ? { kind: "install", state, release, digest }
    : { kind: "failed", state, reason };
}

function releaseFor({ stack, region, node }: Identity, manifest: Manifest): ReleaseContent {
  const release = selectRelease(manifest, node);
  if (manifest.stack === stack && manifest.region === region && release !== undefined) return release;
  const nodes = manifest.nodes.map(({ name }) => name).join(", ");
  throw new KitError("manifest-foreign", {
    message:
      `The manifest is for stack ${manifest.stack}, region ${manifest.region}, nodes ${nodes}; ` +
      `this is stack ${stack}, region ${region}, node ${node}.`,
  });
}

function refuseReplayed(
  known: UpdaterState["accepted"],
  offered: NonNullable<UpdaterState["accepted"]>,
): void {
  if (known === undefined || offered.sequence > known.sequence || offered.sha256 === known.sha256) return;
  throw new KitError("manifest-replayed", {
    message:
      offered.sequence === known.sequence
        ? `Another manifest with sequence ${known.sequence} has been accepted already.`
        : `The manifest has sequence ${offered.sequence}, and ${known.sequence} has been accepted already.`,
  });
}

/** Why the release that `state` was accepted for is not tried again. */
function earlierFailure({ failed, trial }: UpdaterState, version: string): KitError | undefined {
  if (failed !== undefined) {
    return new KitError("release-failed", {
      message: `Release ${version} failed here before: ${failed.reason}`,
    });
  }
  if (trial === undefined || trial.attempts < maxInterruptedTrials) return undefined;
  return new KitError("release-failed", {
    message: `Release ${version} was begun ${trial.attempts} times here, and the updater was killed each time.`,
  });
}
