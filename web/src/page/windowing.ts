/**
 * Which rows of a long list are in the document: those on the screen, and a few around them.
 *
 * Rule 1: all rows are of one height, but one that is open and has more below it. So where a row is
 * can be computed, however many there are. Lengths are CSS pixels.
 */

/** Rows above and below the screen, so that the tab key finds the next one. */
const AROUND = 4

export interface Layout {
  count: number
  row: number
  /** The index of the open row; null for none. */
  open: number | null
  /** How much taller that row is. */
  extra: number
}

export function topOf({ row, open, extra }: Layout, index: number): number {
  return index * row + (open !== null && index > open ? extra : 0)
}

export function heightOf(layout: Layout): number {
  return topOf(layout, layout.count)
}

/** The rows to render, in order. `held`: a row that stays wherever it is, because it has the focus. */
export function rowsIn(layout: Layout, top: number, height: number, held: number | null): number[] {
  const first = Math.max(indexAt(layout, top) - AROUND, 0)
  const last = Math.min(indexAt(layout, top + height) + AROUND, layout.count - 1)
  const rows = Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) => first + index)
  if (held === null || held >= layout.count) return rows
  if (held < first) return [held, ...rows]
  return held > last ? [...rows, held] : rows
}

function indexAt({ row, open, extra }: Layout, y: number): number {
  if (open === null || y < (open + 1) * row) return Math.floor(y / row)
  return Math.max(Math.floor((y - extra) / row), open)
}
