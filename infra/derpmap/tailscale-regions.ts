/**
 * The codes of Tailscale's own DERP regions, ids 1 to 28 in order: the public default map as known in November 2026.
 *
 * The list ages, and that does little harm. It is advice against confusion: `tailscale status` and `netcheck` show a
 * region by its code, and a second `fra` beside Tailscale's misleads whoever reads them. Ids cannot clash, because ours
 * come from 900-999, which Tailscale keeps for users' own regions.
 */
export const tailscaleRegionCodes: ReadonlySet<string> = new Set(
  (
    "nyc sfo sin fra syd blr tok lhr dfw sea sao ord den ams " +
    "jnb mia lax par mad hkg tor waw dbi hnl nai nue iad hel"
  ).split(" "),
);
