/** What /proc/PID/stat says of a process. Pure. */

/**
 * A field, by its number in proc(5), from the third on. The second is the program's name, which may hold spaces and brackets.
 *
 * @returns undefined if the text has no such field
 */
export function statField(text: string, number: number): string | undefined {
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[number - 3];
}
