/** Who runs on which CPU, and under which limit of open files: command lines. Pure. */

/** One CPU for the relay, another for who loads it. */
export interface Cpus {
  readonly server: number;
  readonly generator: number;
}

/**
 * Chooses the first two CPUs that this process may use.
 *
 * @param allowed as the kernel lists them: `0-3,8`
 * @returns undefined if there are fewer
 */
export function chooseCpus(allowed: string): Cpus | undefined {
  const [server, generator] = allowed.split(",").flatMap((range) => {
    const [first = NaN, last = first] = range.split("-").map(Number);
    return Array.from({ length: Math.min(2, last - first + 1) || 0 }, (_, index) => first + index);
  });
  return server === undefined || generator === undefined ? undefined : { server, generator };
}

/** A command on a CPU; on any, without one. */
export function pinCommand(cpu: number | undefined, command: readonly string[]): readonly string[] {
  return cpu === undefined ? command : ["taskset", "-c", String(cpu), ...command];
}

/** A command that may open so many files, or more if it may anyway. It fails where the system does not permit that. */
export function allowFiles(count: number, command: readonly string[]): readonly string[] {
  const script =
    '[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge "$1" ] || ulimit -n "$1" || exit; shift; exec "$@"';
  return ["sh", "-c", script, "sh", String(count), ...command];
}
