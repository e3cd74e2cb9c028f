/** The authorities that are known by name. */

/** Let's Encrypt's directory, and the one of its staging environment, which issues what nobody trusts. */
export const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
export const letsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory";
/** Google's, as derper's mode `gcp` uses it. */
export const google = "https://dv.acme-v02.api.pki.goog/directory";
