/**
 * Numbers and states in words.
 *
 * Rule 1: sizes are in KiB, MiB, GiB (steps of 1,024), as everywhere in Wherry.
 *
 * Rule 2: a failure is described in three sentences: what happened, what is safe, what to do
 * next.
 */

import type { UploadDetails, UploadFailure } from '../core'
import { t } from './language'
import { shownName } from './names'

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `640 KiB`, `8.2 MiB`, `20 MiB`. */
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.5 && unit < UNITS.length) {
    value /= 1024
    unit += 1
  }
  if (unit === 0) return t.bytes(bytes)
  return t.size(t.write.number(value, value >= 99.95 ? 0 : 1), UNITS[unit - 1]!)
}

/** `a few seconds`, `40 seconds`, `3 minutes`, `2 hours 10 minutes`. */
export function duration(seconds: number): string {
  if (seconds < 5) return t.aFewSeconds
  if (seconds < 90) return t.seconds(Math.round(seconds))
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? t.minutes(minutes) : t.hours(Math.floor(minutes / 60), minutes % 60)
}

/** Of two times in ISO 8601; never less than nothing. */
export function secondsBetween(then: string, now: string): number {
  return Math.max((Date.parse(now) - Date.parse(then)) / 1000, 0)
}

/** A place in a video: `0:05.00`, `1:02:03.50`; without `exact`, `0:05` and `1:02:03`. */
export function moment(seconds: number, exact = true): string {
  const hundredths = Math.round(seconds * 100)
  const two = (value: number) => String(value).padStart(2, '0')
  const whole = Math.floor(hundredths / 100)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const tail = `${two(whole % 60)}${exact ? `.${two(hundredths % 100)}` : ''}`
  return hours > 0 ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`
}

/** A sentence about files: of more than two, it names two and says how many more; null for none. */
export function named(
  names: readonly string[],
  sentence: (names: string, count: number) => string,
): string | null {
  if (names.length === 0) return null
  const quoted = names.map((name) => t.quoted(shownName(name)))
  const said = quoted.slice(0, 2)
  const rest = quoted.length - said.length
  return sentence(t.write.list(rest > 0 ? [...said, t.more(rest)] : said), names.length)
}

/** The state of an upload in one or two words. `details` is null before it begins. */
export function stateWord(details: UploadDetails | null): string {
  if (details === null) return t.state.next
  const { state, position } = details
  if (state === 'waiting' && position !== null) return t.state.queued(position)
  return t.state[state]
}

/** The state of an upload in a sentence or two; empty if the numbers say it already. */
export function stateSentence(details: UploadDetails): string {
  const { bytesSafe, bytesTotal, position, problem, retryAfter } = details
  const kept = bytesSafe > 0 ? [t.state.areSafe(size(bytesSafe), size(bytesTotal))] : []
  switch (details.state) {
    case 'starting':
      return t.state.contacting
    case 'sending':
      return ''
    case 'waiting':
      return position === null ? t.state.full : t.state.startsItself
    case 'retrying': {
      const isSoon = retryAfter === null || retryAfter < 1
      const goesOn = isSoon ? t.state.goesOn : t.state.goesOnIn(Math.round(retryAfter))
      return [problem ?? t.state.connectionFailed, ...kept, goesOn].join(' ')
    }
    case 'paused':
      return [t.state.nothingIsSent, ...kept].join(' ')
    case 'completing':
      return t.state.completingLong
    case 'done':
      return t.state.arrived
    case 'cancelled':
      return t.state.nothingKept
    case 'failed':
      return ''
  }
}

/** Tells which request size was refused; null if none was. */
export function refusedSentence({ refusedSize, chunkSize }: UploadDetails): string | null {
  if (refusedSize === null) return null
  return chunkSize === null || chunkSize >= refusedSize
    ? t.state.refusedSize(size(refusedSize))
    : t.state.refusedSizeNow(size(refusedSize), size(chunkSize))
}

/** Without the bytes that were on the way and are so no more, because nothing is sent at the moment. */
export function settled(details: UploadDetails): UploadDetails {
  const { bytesSafe, chunkSize, sending, state } = details
  const isStill = sending.length === 0 && (chunkSize !== null || state === 'retrying')
  if (state !== 'paused' && state !== 'failed' && !isStill) return details
  return { ...details, sending: [], bytesSent: bytesSafe }
}

/**
 * How much has been sent, 0 to 100, as the map draws it. Unlike the client's percent, it falls when
 * bytes on the way are lost, and is 100 only when all are safe.
 */
export function percentOf({ state, bytesSent, bytesTotal }: UploadDetails): number {
  if (state === 'completing' || state === 'done') return 100
  return bytesTotal > 0 ? Math.min(Math.floor((100 * bytesSent) / bytesTotal), 99) : 0
}

/** The number of chunks in each state. */
export function chunks({ chunksTotal, chunksDone: done, sending }: UploadDetails) {
  const onTheWay = Math.min(sending.length, chunksTotal - done)
  return { done, onTheWay, toCome: chunksTotal - done - onTheWay }
}

/** The text alternative of the map of chunks; of a file without chunks, its bytes. */
export function mapSentence(details: UploadDetails): string {
  const { bytesSent, bytesTotal, chunksTotal, chunkSize } = details
  if (chunksTotal === 0) return t.map.sent(size(bytesSent), size(bytesTotal))
  const { done, onTheWay, toCome } = chunks(details)
  const each = chunkSize === null ? null : size(chunkSize)
  return t.map.chunks(chunksTotal, each, done, onTheWay, toCome)
}

/** What went wrong, for the user. */
export interface Trouble {
  what: string
  safe: string
  next: string
  /** Whether the server would refuse the same file again. */
  isFinal: boolean
}

type Words = (failure: UploadFailure) => Partial<Trouble> & { what: string }

const fact = (failure: UploadFailure, name: string): string | null => {
  const value = failure.facts[name]
  return typeof value === 'string' ? value : null
}

const number = (failure: UploadFailure, name: string): number | null => {
  const value = failure.facts[name]
  return typeof value === 'number' ? value : null
}

/** `limit`: in bytes, if it is known. */
export function tooLarge(limit: number | null): Trouble {
  return {
    what: limit === null ? t.trouble.tooLarge : t.trouble.tooLargeFor(size(limit)),
    safe: t.trouble.nothingStored,
    next: t.trouble.tooLargeNext,
    isFinal: true,
  }
}

const TROUBLES: Record<string, Words> = {
  'too-large': (failure) => tooLarge(number(failure, 'limit')),
  'never-fits': () => ({
    what: t.trouble.neverFits,
    safe: t.trouble.nothingStored,
    next: t.trouble.neverFitsNext,
    isFinal: true,
  }),
  'type-refused': (failure) => {
    const found = fact(failure, 'found')
    const { allowed } = failure.facts
    return {
      what: found === null ? t.trouble.type : t.trouble.typeFound(found),
      safe: t.state.nothingKept,
      next: Array.isArray(allowed) ? t.trouble.typesNext(allowed.join(', ')) : t.trouble.typeNext,
      isFinal: true,
    }
  },
  'content-refused': (failure) => {
    const reason = fact(failure, 'reason')
    return {
      what: reason === null ? t.trouble.content : t.trouble.contentReason(reason),
      safe: t.state.nothingKept,
      next: t.trouble.contentNext,
      isFinal: true,
    }
  },
  'file-digest-mismatch': () => ({
    what: t.trouble.damaged,
    safe: t.trouble.damagedSafe,
    next: t.trouble.damagedNext,
  }),
  unauthorized: () => ({ what: t.trouble.key, next: t.trouble.keyNext }),
  'ticket-used-up': () => ({
    what: t.trouble.linkUsedUp,
    safe: t.trouble.linkUsedUpSafe,
    next: t.trouble.linkNext,
  }),
  'ticket-expired': () => ({
    what: t.trouble.linkExpired,
    safe: t.trouble.linkExpiredSafe,
    next: t.trouble.linkNext,
  }),
  'ticket-revoked': () => ({ what: t.trouble.linkRevoked, next: t.trouble.linkNext }),
  'foreign-origin': () => ({ what: t.trouble.foreign, next: t.trouble.foreignNext }),
  'disk-full': () => ({ what: t.trouble.diskFull, next: t.trouble.diskFullNext }),
  'hook-failed': () => ({
    what: t.trouble.hook,
    safe: t.trouble.hookSafe,
    next: t.trouble.hookNext,
  }),
  'hook-ends-server': () => ({
    what: t.trouble.hookEnds,
    safe: t.trouble.hookSafe,
    next: t.trouble.hookEndsNext,
  }),
  'upload-gone': () => ({
    what: t.trouble.gone,
    safe: t.state.nothingKept,
    next: t.trouble.goneNext,
  }),
}

/** By the class of the error, for errors without a code of Wherry's. */
const BY_NAME: Record<string, Words> = {
  TooLarge: () => ({ what: t.trouble.smallestRefused, next: t.trouble.smallestRefusedNext }),
  ConnectionLost: () => ({ what: t.trouble.unreachable, next: t.trouble.connectionNext }),
  GaveUp: () => ({ what: t.trouble.noProgress, next: t.trouble.connectionNext }),
  UploadGone: (failure) => TROUBLES['upload-gone']!(failure),
  Unauthorized: (failure) => ({
    what: failure.status === 403 ? t.trouble.forbidden : t.trouble.loginExpired,
    next: t.trouble.loginNext,
  }),
  FileChanged: () => ({
    what: t.trouble.fileChanged,
    next: t.trouble.fileChangedNext,
    isFinal: true,
  }),
  UnexpectedAnswer: () => ({ what: t.trouble.notWherry, next: t.trouble.notWherryNext }),
  ServerFailed: () => ({ what: t.trouble.server, next: t.trouble.serverNext }),
}

/** What happened, what is safe, what to do next. */
export function trouble(failure: UploadFailure, details: UploadDetails | null): Trouble {
  const words = TROUBLES[failure.code] ?? BY_NAME[failure.name]
  const said = words?.(failure) ?? { what: failure.message }
  const safe = details?.bytesSafe ?? 0
  const total = details?.bytesTotal ?? 0
  return {
    what: said.what,
    safe:
      said.safe ??
      (safe > 0 ? t.trouble.safeOnServer(size(safe), size(total)) : t.trouble.nothingStored),
    next: said.next ?? (failure.hint || t.trouble.tryAgain),
    isFinal: said.isFinal ?? false,
  }
}
