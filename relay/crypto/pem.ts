/** Renders DER as PEM (RFC 7468): 64 characters a line. `label` is, for example, `CERTIFICATE`. */
export function renderPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
