import { expect, test } from 'vitest'
import { heightOf, rowsIn, topOf } from './windowing'
import type { Layout } from './windowing'

const closed: Layout = { count: 1000, row: 64, open: null, extra: 0 }
const open: Layout = { ...closed, open: 3, extra: 500 }

test('of a thousand rows, those on the screen are rendered and four on each side', () => {
  expect(rowsIn(closed, 0, 640, null)).toEqual(Array.from({ length: 15 }, (_, index) => index))
  const middle = rowsIn(closed, 32_000, 640, null)
  expect([middle[0], middle.at(-1)]).toEqual([496, 514])
  expect(rowsIn(closed, heightOf(closed) - 640, 640, null).at(-1)).toBe(999)
})

test('the row with the focus stays, wherever it is', () => {
  expect(rowsIn(closed, 32_000, 640, 2)[0]).toBe(2)
  expect(rowsIn(closed, 0, 640, 999).at(-1)).toBe(999)
  expect(rowsIn(closed, 0, 640, 1000).at(-1)).toBe(14)
})

test('an open row pushes those below it down', () => {
  expect([topOf(open, 3), topOf(open, 4), heightOf(open)]).toEqual([192, 756, 64_500])
})

test.each([0, 200, 600, 691, 692, 756, 3000])(
  'with an open row, all rows that are seen at %d are rendered',
  (top) => {
    const rows = rowsIn(open, top, 640, null)
    for (let index = 0; index < open.count; index++) {
      const [from, to] = [topOf(open, index), topOf(open, index + 1)]
      if (to > top && from < top + 640) expect(rows).toContain(index)
    }
  },
)

test('a list without rows renders none', () => {
  expect(rowsIn({ ...closed, count: 0 }, 0, 640, null)).toEqual([])
})
