/** How releases reach the machines: said once, and whole. Works on what was written, right or wrong. */
import { findPlace, placeNames } from "../clouds/places.ts";
import { nearest } from "./nearest.ts";
import { childPath } from "./path.ts";
import { type Members, membersOf, type Report, valid } from "./raw.ts";
import { storeSchema } from "./schema.ts";
import { show } from "./show.ts";

const path = childPath(undefined, "delivery");
const s3Path = childPath(path, "s3");

export function checkDelivery(fleet: Members, report: Report): void {
  if (fleet["delivery"] === undefined) return;
  const { url, s3 } = membersOf(fleet["delivery"]);
  if ((url === undefined) === (s3 === undefined)) {
    report(path, url === undefined ? "says no way; write s3 or url" : "says two ways; keep s3 or url");
  }
  if (s3 !== undefined) checkStore(membersOf(s3), report);
}

/** AWS' own store goes with the credentials of the provider; any other has a key of its own. */
function checkStore(store: Members, report: Report): void {
  const isAws = store["endpoint"] === undefined;
  for (const key of ["accessKeyId", "secret"] as const) {
    if (isAws && store[key] !== undefined)
      report(childPath(s3Path, key), "is of a store with an endpoint; remove it, or write endpoint");
    if (!isAws && store[key] === undefined)
      report(childPath(s3Path, key), "is missing; a store with an endpoint needs it");
  }
  const location = valid(storeSchema.entries.location, store["location"]);
  if (!isAws || location === undefined || findPlace("aws", location) !== undefined) return;
  const meant = nearest(location, placeNames("aws"));
  report(
    childPath(s3Path, "location"),
    `is ${show(location)}, and AWS has no such region; ` +
      (meant === undefined ? "write one, such as eu-central-1, or write endpoint" : `did you mean ${meant}?`),
  );
}

/** Where the delivery names a secret, and what it writes there. */
export function secretsOfDelivery(fleet: Members): { readonly path: string; readonly written: unknown }[] {
  const written = membersOf(membersOf(fleet["delivery"])["s3"])["secret"];
  return written === undefined ? [] : [{ path: childPath(s3Path, "secret"), written }];
}
