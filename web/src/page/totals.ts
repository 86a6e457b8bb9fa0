/** What all files of the page together have come to. */

import { useEffect, useRef, useState } from 'preact/compat'
import { Speed } from '../core/speed'
import { isMoving, isStopped } from './uploads'
import type { Item } from './uploads'

/** How often numbers are counted anew while something moves, in milliseconds. */
const INTERVAL = 250

export interface Totals {
  /** All but those that were cancelled. */
  files: number
  done: number
  stopped: number
  /** Of the files that were not refused. */
  bytes: number
  bytesSent: number
  /** Bytes that ending all uploads would delete. */
  bytesKept: number
}

export function totalsOf(items: readonly Item[]): Totals {
  const totals: Totals = { files: 0, done: 0, stopped: 0, bytes: 0, bytesSent: 0, bytesKept: 0 }
  for (const item of items) {
    if (item.state === 'cancelled') continue
    totals.files += 1
    if (item.state === 'done') totals.done += 1
    else totals.bytesKept += item.upload.now().details?.bytesSafe ?? 0
    if (isStopped(item.state)) totals.stopped += 1
    if (item.state === 'refused') continue
    totals.bytes += item.file.size
    totals.bytesSent += item.bytesSent
  }
  return totals
}

/** `speed`: bytes a second, over all files; null while nothing moves. */
export function useTotals(items: readonly Item[]): Totals & { speed: number | null } {
  const [, count] = useState(0)
  const speed = useRef(new Speed())
  const sent = useRef(0)
  const moves = items.some((item) => isMoving(item.state))
  useEffect(() => {
    if (!moves) return
    const timer = setInterval(() => count((before) => before + 1), INTERVAL)
    return () => clearInterval(timer)
  }, [moves])
  const totals = totalsOf(items)
  const now = performance.now() / 1000
  useEffect(() => {
    // It falls when a file leaves the list, and when bytes on the way are lost.
    speed.current.note(totals.bytesSent - sent.current, now)
    sent.current = totals.bytesSent
  })
  return { ...totals, speed: moves ? speed.current.at(now) : null }
}
