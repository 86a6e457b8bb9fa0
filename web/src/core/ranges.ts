/** Byte ranges `[start, end)`. */

import type { Range } from './types'

/** The same bytes as sorted ranges that neither overlap nor touch. */
export function merge(ranges: Iterable<Range>): Range[] {
  const merged: Range[] = []
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last && start <= last[1]) last[1] = Math.max(last[1], end)
    else if (start < end) merged.push([start, end])
  }
  return merged
}

/** The bytes from 0 to `length` that lie in none of `ranges`. */
export function gaps(ranges: Iterable<Range>, length: number): Range[] {
  const found: Range[] = []
  let at = 0
  for (const [start, end] of merge(ranges)) {
    if (at < start) found.push([at, Math.min(start, length)])
    at = Math.max(at, end)
  }
  if (at < length) found.push([at, length])
  return found
}

/** The bytes that lie in both; each of them sorted and without overlap. */
export function overlap(some: Range[], others: Range[]): Range[] {
  const found: Range[] = []
  for (const [start, end] of some) {
    for (const other of others) {
      const both: Range = [Math.max(start, other[0]), Math.min(end, other[1])]
      if (both[0] < both[1]) found.push(both)
    }
  }
  return found
}

export function bytesIn(ranges: Iterable<Range>): number {
  let bytes = 0
  for (const [start, end] of ranges) bytes += end - start
  return bytes
}
