/**
 * CRC-64/NVME of parts, and of a whole file combined from them in any order.
 *
 * Rule 1: eight bytes a step, in halves of 32 bits, for that is what browsers do fast.
 */

import { gaps } from './ranges'
import type { Range } from './types'

const POLYNOMIAL = 0x9a6c9329ac4bc9b5n
const TOP = 1n << 63n

/** For byte values at each of eight places: the lower halves, and the upper halves. */
let tables: [lower: Int32Array, upper: Int32Array] | undefined

function makeTables(): [Int32Array, Int32Array] {
  const lower = new Int32Array(8 * 256)
  const upper = new Int32Array(8 * 256)
  for (let value = 0; value < 256; value++) {
    let crc = BigInt(value)
    for (let bit = 0; bit < 64; bit++) {
      if (bit % 8 === 0 && bit > 0) keep(bit / 8 - 1, value, crc)
      crc = crc & 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n
    }
    keep(7, value, crc)
  }
  return [lower, upper]

  function keep(place: number, value: number, crc: bigint): void {
    lower[place * 256 + value] = Number(crc & 0xffffffffn)
    upper[place * 256 + value] = Number(crc >> 32n)
  }
}

/** The CRC of bytes whose CRC is `crc`, followed by `data`. */
export function crc64(data: Uint8Array, crc = 0n): bigint {
  const [l, h] = (tables ??= makeTables())
  let low = ~Number(crc & 0xffffffffn)
  let high = ~Number(crc >> 32n)
  const steps = data.length - (data.length % 8)
  let at = 0
  for (; at < steps; at += 8) {
    const a =
      low ^ (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24))
    const b =
      high ^ (data[at + 4]! | (data[at + 5]! << 8) | (data[at + 6]! << 16) | (data[at + 7]! << 24))
    const p = 1792 + (a & 255)
    const q = 1536 + ((a >>> 8) & 255)
    const r = 1280 + ((a >>> 16) & 255)
    const s = 1024 + (a >>> 24)
    const u = 768 + (b & 255)
    const v = 512 + ((b >>> 8) & 255)
    const w = 256 + ((b >>> 16) & 255)
    const x = b >>> 24
    low = l[p]! ^ l[q]! ^ l[r]! ^ l[s]! ^ l[u]! ^ l[v]! ^ l[w]! ^ l[x]!
    high = h[p]! ^ h[q]! ^ h[r]! ^ h[s]! ^ h[u]! ^ h[v]! ^ h[w]! ^ h[x]!
  }
  for (; at < data.length; at++) {
    const index = (low ^ data[at]!) & 255
    low = ((low >>> 8) | (high << 24)) ^ l[index]!
    high = (high >>> 8) ^ h[index]!
  }
  return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0)
}

/** The CRC of two adjacent parts, from their CRCs. `secondLength` is in bytes. */
export function combine(first: bigint, second: bigint, secondLength: number): bigint {
  // `first` times x to the power of eight times the length: square and multiply.
  let power = TOP >> 8n
  for (let left = secondLength; left > 0; left = Math.floor(left / 2)) {
    if (left % 2) first = multiply(first, power)
    power = multiply(power, power)
  }
  return first ^ second
}

/** Of polynomials, modulo the CRC's own; the highest bit stands for x to the power of 0. */
function multiply(a: bigint, b: bigint): bigint {
  let product = 0n
  for (let bit = TOP; bit; bit >>= 1n) {
    if (a & bit) product ^= b
    b = b & 1n ? (b >> 1n) ^ POLYNOMIAL : b >> 1n
  }
  return product
}

/** As in RFC 9530's fields, under Amazon's name for it. */
export const renderDigest = (crc: bigint): string => `crc64nvme=:${renderCrc(crc)}:`

/** In base64, as S3 has it. */
export function renderCrc(crc: bigint): string {
  let bytes = ''
  for (let shift = 56n; shift >= 0n; shift -= 8n)
    bytes += String.fromCharCode(Number((crc >> shift) & 255n))
  return btoa(bytes)
}

export interface Part {
  range: Range
  crc: bigint
}

/** The parts of a file that have been read. Adjacent parts are joined. */
export class Parts {
  private parts: Part[] = []

  /** A part that overlaps another is ignored: its bytes are known, or will be read again. */
  add({ range: [start, end], crc }: Part): void {
    const parts = this.parts
    let at = parts.findIndex((part) => part.range[1] > start)
    if (at < 0) at = parts.length
    if (start >= end || (parts[at]?.range[0] ?? Infinity) < end) return
    parts.splice(at, 0, { range: [start, end], crc })
    if (parts[at + 1]?.range[0] === end) this.joinNext(at)
    if (parts[at - 1]?.range[1] === start) this.joinNext(at - 1)
  }

  /** The ranges of a file of this length that were not read yet. */
  missing(length: number): Range[] {
    return gaps(
      this.parts.map((part) => part.range),
      length,
    )
  }

  /** The CRC of the first part: of the whole file, if nothing is missing. */
  get crc(): bigint {
    return this.parts[0]?.crc ?? 0n
  }

  private joinNext(at: number): void {
    const [one, next] = this.parts.splice(at, 2) as [Part, Part]
    const crc = combine(one.crc, next.crc, next.range[1] - next.range[0])
    this.parts.splice(at, 0, { range: [one.range[0], next.range[1]], crc })
  }
}
