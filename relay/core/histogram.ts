/** A distribution in counts: how many values were at most as large as each bound. */

export interface Histogram {
  /** Ascending. Above the last one there is one more bucket without end. */
  readonly bounds: readonly number[];
  /** Values in each bucket alone, so that one value is one addition; `cumulate` adds them up when they are read. */
  readonly counts: number[];
  sum: number;
}

/** derper's bounds for `derp_buffered_write_frames`. */
export const writeFramesBounds: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25, 50, 100];
/** derper's bounds for `derp_mesh_update_batch_size`. */
export const meshBatchBounds: readonly number[] = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
/** derper's bounds for `derp_mesh_update_loop_count`. */
export const meshLoopBounds: readonly number[] = [0, 1, 2, 5, 10, 20, 50, 100];

export function createHistogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: Array.from({ length: bounds.length + 1 }, () => 0), sum: 0 };
}

/** Counts one value. A bound belongs to the bucket below it. */
export function observe(histogram: Histogram, value: number): void {
  const { bounds, counts } = histogram;
  let bucket = 0;
  while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
  counts[bucket] = (counts[bucket] ?? 0) + 1;
  histogram.sum += value;
}

export interface CumulatedHistogram {
  /** Each bound as text, the last one `+Inf`, and how many values were at most that. */
  readonly buckets: readonly (readonly [bound: string, count: number])[];
  readonly sum: number;
  readonly count: number;
}

/** The form that Prometheus and derper print. */
export function cumulate({ bounds, counts, sum }: Histogram): CumulatedHistogram {
  let count = 0;
  const buckets = counts.map((inBucket, index): [string, number] => {
    count += inBucket;
    return [`${bounds[index] ?? "+Inf"}`, count];
  });
  return { buckets, sum, count };
}
