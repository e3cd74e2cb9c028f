/** When a certificate is due. Pure: all times are unix milliseconds. */

/** What a certificate says of its own days. */
export interface Lifetime {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** When a CA would like a certificate to be renewed (RFC 9773, section 4.2: `suggestedWindow`). */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
}

const dayMs = 86_400_000;
/** A certificate that lives shorter is renewed at half of its life: a third of six days is little time to mend things. */
export const shortLifetimeMs = 10 * dayMs;

/** The longest and the shortest time that a CA may keep us from asking again (RFC 9773, section 4.3.2). */
const askAgainLimits = { least: 60_000, most: dayMs, usual: 6 * 3_600_000 };

/**
 * When a certificate is due by its own days: at half of its lifetime if that is under 10 days, else when a third is left
 * (derper renews 30 days before the end at the earliest; with today's 90 days that is the same).
 *
 * The lifetime is as the certificate has it, and so a clock that is behind changes nothing. One that was never valid (it
 * ends before it begins, or its days cannot be read) is due since ever.
 */
export function plainDue({ notBefore, notAfter }: Lifetime): number {
  const lifetime = notAfter - notBefore;
  if (!(lifetime > 0)) return 0;
  return Math.round(
    isShortLived({ notBefore, notAfter }) ? notBefore + lifetime / 2 : notAfter - lifetime / 3,
  );
}

export function isShortLived({ notBefore, notAfter }: Lifetime): boolean {
  return notAfter - notBefore < shortLifetimeMs;
}

/** From when on a renewal is overdue: a tenth of the lifetime after it was due. */
export function overdueAt({ notBefore, notAfter }: Lifetime, due: number): number {
  return due + Math.round(Math.max(notAfter - notBefore, 0) / 10 || 0);
}

/**
 * Picks the time of a renewal: any in the CA's window with the same chance, so that not all relays come at once; now, if
 * that is past. It has to be kept and not picked again while the window stays the same (RFC 9773, section 4.2).
 *
 * @param random from 0 to 1
 * @returns undefined for a window that ends before it begins, which counts as no answer
 */
export function pickTime({ start, end }: RenewalWindow, now: number, random: number): number | undefined {
  if (!(end > start)) return undefined;
  return Math.max(Math.round(start + (end - start) * random), now);
}

/**
 * How long to wait before the CA is asked for the window again: as long as it says, within a minute and a day; six hours
 * if it says nothing.
 */
export function askAgainAfter(retryAfterMs: number | undefined): number {
  const { least, most, usual } = askAgainLimits;
  return Math.min(Math.max(Math.round(retryAfterMs ?? usual) || least, least), most);
}
