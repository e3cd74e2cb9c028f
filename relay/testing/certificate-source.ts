/** Certificates for tests of what shows them: made at once, exchanged at will. */
import type { Asked, CertificateSource, ChallengeAnswers } from "../certificates/source.ts";
import type { CertificatePair } from "../config/certificate-files.ts";
import { createSelfSigned, pinnedValidity } from "../crypto/self-signed.ts";

/** What is shown, by SNI; under `""` to those who name nobody. A function is asked each time. */
export type Shown = Record<
  string,
  CertificatePair | ((asked: Asked) => ReturnType<CertificateSource["find"]>) | undefined
>;

/** A source whose certificates are those of a record that a test may change; `tell` says that it has. */
export function sourceOf(
  shown: Shown,
  challenges?: ChallengeAnswers,
): CertificateSource & { readonly tell: () => void } {
  const listeners: (() => void)[] = [];
  return {
    find(asked) {
      const found = shown[asked.servername ?? ""];
      return typeof found === "function" ? found(asked) : found;
    },
    onChange: (listener) => void listeners.push(listener),
    challenges,
    tell: () => listeners.forEach((listener) => listener()),
  };
}

export function createPair(hostName: string): CertificatePair {
  const { certificatePem, keyPem } = createSelfSigned({ hostName, ...pinnedValidity(new Date()) });
  return { chain: certificatePem, key: keyPem };
}
