import { expect, test } from 'vitest'
import { combine, crc64, Parts, renderDigest } from './digest'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const some = Uint8Array.from({ length: 5000 }, (_, at) => (at * 31 + (at >> 3)) & 255)

test('the check value is the published one', () => {
  expect(crc64(text('123456789'))).toBe(0xae8b14860a799888n)
  expect(crc64(text(''))).toBe(0n)
})

test('bytes may come in pieces of any length', () => {
  for (const cut of [0, 1, 7, 8, 9, 2048, 4999, 5000]) {
    expect(crc64(some.subarray(cut), crc64(some.subarray(0, cut)))).toBe(crc64(some))
  }
})

test('the digest of neighbours is combined from theirs', () => {
  for (const cut of [0, 1, 7, 8, 2048, 5000]) {
    const [first, second] = [some.subarray(0, cut), some.subarray(cut)]
    expect(combine(crc64(first), crc64(second), second.length)).toBe(crc64(some))
  }
})

test('parts in any order make the whole', () => {
  const parts = new Parts()
  for (const [start, end] of [
    [3000, 5000],
    [0, 100],
    [1000, 3000],
    [100, 1000],
    [50, 60],
  ] as const) {
    parts.add({ range: [start, end], crc: crc64(some.subarray(start, end)) })
  }
  expect(parts.missing(5000)).toEqual([])
  expect(parts.crc).toBe(crc64(some))
})

test('a part that overlaps another is read again later', () => {
  const parts = new Parts()
  parts.add({ range: [100, 200], crc: 1n })
  parts.add({ range: [150, 300], crc: 2n })
  parts.add({ range: [0, 101], crc: 3n })
  expect(parts.missing(300)).toEqual([
    [0, 100],
    [200, 300],
  ])
})

test('a digest is rendered as the server reads it', () => {
  expect(renderDigest(0xae8b14860a799888n)).toBe('crc64nvme=:rosUhgp5mIg=:')
})
