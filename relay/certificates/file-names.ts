/**
 * Where the files of an identifier lie in a certificate folder: derper's names, so that either program goes on with what the
 * other stored, and our own in `derpkit/` beside them. Pure but for joining paths.
 *
 * | | DNS name (Go's autocert) | IP address (derper's `-acme-ip-certs`) |
 * |---|---|---|
 * | certificate | `<name>`: the key, then the chain | `<ip, : replaced by .>.crt` and `.key` |
 * | account key | `acme_account+key` | `acme-account.key` |
 */
import { join } from "node:path";
import type { Identifier } from "../acme/identifier.ts";
import { KitError } from "../errors.ts";

export interface FileNames {
  readonly folder: string;
  readonly certificate:
    /** `rsa` is what derper has for clients that know no elliptic curves; it is only read. */
    | { readonly layout: "one-file"; readonly file: string; readonly rsa: string }
    | { readonly layout: "two-files"; readonly crt: string; readonly key: string };
  readonly accountKey: string;
  /** The folder of our own files. */
  readonly own: string;
  readonly state: string;
  /** A folder; see lock.ts. */
  readonly lock: string;
  /** A whole new pair, while the two files are replaced one after the other. */
  readonly journal: string;
  /** What is being written; renamed when it is whole. It is in our folder since any name beside it may be a certificate's. */
  readonly draft: string;
  /** Beside the certificates, since that is where there has to be room. No DNS name begins with a dot. */
  readonly probe: string;
}

/**
 * The files of an identifier.
 *
 * @param folder the certificate folder, absolute
 * @throws KitError `certificate-invalid` for a name that cannot be a file's, or is another file's
 */
export function fileNames(folder: string, { type, value }: Identifier): FileNames {
  const name = type === "ip" ? value.replaceAll(":", ".") : checkName(value);
  const own = join(folder, ownFolder);
  const certificate: FileNames["certificate"] =
    type === "ip"
      ? { layout: "two-files", crt: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
      : { layout: "one-file", file: join(folder, name), rsa: join(folder, `${name}+rsa`) };
  return {
    folder,
    certificate,
    accountKey: join(folder, type === "ip" ? ipAccountKey : "acme_account+key"),
    own,
    state: join(own, `${name}.json`),
    lock: join(own, `${name}.lock`),
    journal: join(own, `${name}.pair`),
    draft: join(own, `${name}.draft`),
    probe: join(folder, `.derpkit-probe-${name}`),
  };
}

const ownFolder = "derpkit";
const ipAccountKey = "acme-account.key";

/** Labels without empty ones, so neither a path nor `..`; the last one not a number, so not what an address becomes. */
function checkName(name: string): string {
  const isName = /^(?:[a-z0-9_-]+\.)*(?=[a-z0-9_-]*[a-z_-])[a-z0-9_-]+$/.test(name) && name.length <= 200;
  const isTaken = name === ownFolder || /^acme-account\.key$|\.(?:crt|key)$/.test(name);
  if (isName && !isTaken) return name;
  throw new KitError("certificate-invalid", {
    message: `No certificate can be stored for ${JSON.stringify(name)}: ${isTaken ? "other files have such names" : "it is no DNS name"}.`,
    fix: "Give the relay a host name of letters, digits, hyphens and dots.",
  });
}
