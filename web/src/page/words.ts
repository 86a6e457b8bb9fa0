/**
 * Numbers and states in plain English.
 *
 * Rule 1: sizes are in KiB, MiB, GiB (steps of 1,024), as everywhere in Wherry.
 *
 * Rule 2: a failure is described in three sentences: what happened, what is safe, what to do
 * next.
 */

import type { UploadDetails, UploadFailure } from '../core'
import { shownName } from './names'

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `640 KiB`, `8.2 MiB`, `20 MiB`. */
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 || Number.isInteger(value) ? 0 : 1
  const number = value.toFixed(digits).replace(/\.0$/, '')
  return `${number} ${unit === 0 && bytes === 1 ? 'byte' : UNITS[unit]}`
}

/** `a few seconds`, `40 seconds`, `3 minutes`, `2 hours 10 minutes`. */
export function duration(seconds: number): string {
  if (seconds < 5) return 'a few seconds'
  if (seconds < 90) return plural(Math.round(seconds), 'second')
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return plural(minutes, 'minute')
  const rest = minutes % 60
  const hours = plural(Math.floor(minutes / 60), 'hour')
  return rest === 0 ? hours : `${hours} ${plural(rest, 'minute')}`
}

/** A place in a video: `0:05.00`, `1:02:03.50`. */
export function moment(seconds: number): string {
  const hundredths = Math.round(seconds * 100)
  const two = (value: number) => String(value).padStart(2, '0')
  const whole = Math.floor(hundredths / 100)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const tail = `${two(whole % 60)}.${two(hundredths % 100)}`
  return hours > 0 ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`
}

/** `30 November 2026 at 15:00`, in the time zone of the browser. */
export function date(at: Date): string {
  return at.toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short' })
}

/** `1st`, `2nd`, `3rd`, `11th`. */
export function ordinal(number: number): string {
  const tens = number % 100
  const ending = tens >= 11 && tens <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th')
  return `${number}${ending}`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** `“a.mp4” is empty.`, `“a.mp4”, “b.mp4” and 3 more are empty.`; null for no names. */
export function named(names: readonly string[], one: string, many: string): string | null {
  if (names.length === 0) return null
  const quoted = names.map((name) => `“${shownName(name)}”`)
  const [said, rest] = [quoted.slice(0, 2), quoted.length - 2]
  const list = rest > 0 ? `${said.join(', ')} and ${rest} more` : said.join(' and ')
  return `${list} ${names.length === 1 ? one : many}.`
}

/** The state of an upload in one or two words. `details` is null before it begins. */
export function stateWord(details: UploadDetails | null): string {
  if (details === null) return 'Next'
  const { state, position } = details
  if (state === 'waiting' && position !== null) return `${ordinal(position)} in the queue`
  return {
    starting: 'Starting',
    sending: 'Uploading',
    waiting: 'Waiting',
    retrying: 'Trying again',
    paused: 'Paused',
    completing: 'Finishing',
    done: 'Uploaded',
    cancelled: 'Cancelled',
    failed: 'Stopped',
  }[state]
}

/** The state of an upload in a sentence or two; empty if the numbers say it already. */
export function stateSentence(details: UploadDetails): string {
  const { bytesSafe, bytesTotal, position, problem } = details
  const kept = bytesSafe > 0 ? ` ${size(bytesSafe)} of ${size(bytesTotal)} are safe.` : ''
  switch (details.state) {
    case 'starting':
      return 'Contacting the server.'
    case 'sending':
      return ''
    case 'waiting':
      return position === null
        ? 'The server is full. The upload starts automatically when there is room.'
        : 'The upload starts automatically.'
    case 'retrying':
      return `${problem ?? 'The connection failed.'}${kept} The upload continues automatically${soon(details.retryAfter)}.`
    case 'paused':
      return `Nothing is sent until you resume.${kept}`
    case 'completing':
      return 'All bytes have arrived. The server is completing the upload.'
    case 'done':
      return 'The whole file has arrived.'
    case 'cancelled':
      return 'The server has kept nothing of this file.'
    case 'failed':
      return ''
  }
}

function soon(seconds: number | null): string {
  return seconds === null || seconds < 1 ? '' : ` in ${plural(Math.round(seconds), 'second')}`
}

/** Tells which request size was refused; null if none was. */
export function refusedSentence(details: UploadDetails): string | null {
  const { refusedSize, chunkSize } = details
  if (refusedSize === null) return null
  const next = chunkSize === null || chunkSize >= refusedSize ? '' : `. The upload continues with ${size(chunkSize)}`
  return `Requests of ${size(refusedSize)} are refused${next}.`
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
  if (chunksTotal === 0) return `${size(bytesSent)} of ${size(bytesTotal)} sent`
  const { done, onTheWay, toCome } = chunks(details)
  const each = chunkSize === null ? '' : ` of ${size(chunkSize)}`
  return `${plural(chunksTotal, 'chunk')}${each}: ${done} safe, ${onTheWay} on the way, ${toCome} to come`
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

const NOTHING_KEPT = 'The server has kept nothing of this file.'

const number = (failure: UploadFailure, name: string): number | null => {
  const value = failure.facts[name]
  return typeof value === 'number' ? value : null
}

/** `limit`: in bytes, if it is known. */
export function tooLarge(limit: number | null): Trouble {
  return {
    what: `This file is too large for the server${limit === null ? '' : `: the limit is ${size(limit)}`}.`,
    safe: 'Nothing was stored.',
    next: 'Choose a smaller file, or ask the operator for a higher limit.',
    isFinal: true,
  }
}

const TROUBLES: Record<string, Words> = {
  'too-large': (failure) => tooLarge(number(failure, 'limit')),
  'never-fits': () => ({
    what: 'This file is larger than the space that the server has for uploads.',
    safe: 'Nothing was stored.',
    next: 'Waiting will not help. Ask the operator for more space.',
    isFinal: true,
  }),
  'type-refused': (failure) => ({
    what: `The server does not accept this type of file${typeof failure.facts.found === 'string' ? ` (${failure.facts.found})` : ''}.`,
    safe: NOTHING_KEPT,
    next: Array.isArray(failure.facts.allowed)
      ? `Choose a file of an allowed type: ${failure.facts.allowed.join(', ')}.`
      : 'Choose a file of an allowed type.',
    isFinal: true,
  }),
  'content-refused': (failure) => ({
    what: `The server has checked the file and does not accept it${typeof failure.facts.reason === 'string' ? `: ${failure.facts.reason}` : '.'}`,
    safe: NOTHING_KEPT,
    next: 'Choose another file.',
    isFinal: true,
  }),
  'file-digest-mismatch': () => ({
    what: 'The file was damaged in transit.',
    safe: 'The damaged upload was deleted.',
    next: 'Try again. The whole file is sent again.',
  }),
  unauthorized: () => ({
    what: 'This server requires a valid key.',
    next: 'Enter a valid key above. The upload then continues automatically.',
  }),
  'ticket-used-up': () => ({
    what: 'This link allows no more files.',
    safe: 'Nothing was stored of this one.',
    next: 'Ask the sender of the link for a new one.',
  }),
  'ticket-expired': () => ({
    what: 'This link has expired.',
    safe: 'Nothing was stored of this file.',
    next: 'Ask the sender of the link for a new one.',
  }),
  'ticket-revoked': () => ({
    what: 'This link was revoked.',
    next: 'Ask the sender of the link for a new one.',
  }),
  'foreign-origin': () => ({
    what: 'This server has no keys, so it only accepts uploads from its own machine.',
    next: 'Open the page at the server’s own address, or ask the operator for a key.',
  }),
  'disk-full': () => ({
    what: 'The server’s disk is full.',
    next: 'Try again when the operator has freed space. The upload continues where it stopped.',
  }),
  'hook-failed': () => ({
    what: 'The whole file has arrived, but the application could not process it.',
    safe: 'The file is safe on the server.',
    next: 'Try again in a moment. Nothing is sent twice.',
  }),
  'hook-ends-server': () => ({
    what: 'The whole file has arrived, but the application fails repeatedly to process it.',
    safe: 'The file is safe on the server.',
    next: 'Ask the operator to check the log, and try again in an hour.',
  }),
  'upload-gone': () => ({
    what: 'The upload was cancelled elsewhere or has expired.',
    safe: NOTHING_KEPT,
    next: 'Try again. The upload starts from the beginning.',
  }),
}

/** By the class of the error, for errors without a code of Wherry's. */
const BY_NAME: Record<string, Words> = {
  TooLarge: () => ({
    what: 'Even the smallest requests are refused.',
    next: 'Ask the operator of the network, or of the proxy in front of this server.',
  }),
  ConnectionLost: () => ({
    what: 'The server cannot be reached.',
    next: 'Check your connection, then try again. The upload continues where it stopped.',
  }),
  GaveUp: () => ({
    what: 'The upload made no progress for a long time.',
    next: 'Check your connection, then try again. The upload continues where it stopped.',
  }),
  UploadGone: (failure) => TROUBLES['upload-gone']!(failure),
  Unauthorized: (failure) => ({
    what: failure.status === 403 ? 'You are not allowed to do this.' : 'Your login has expired.',
    next: 'Log in, then try again. The upload continues where it stopped.',
  }),
  FileChanged: () => ({
    what: 'The file can no longer be read: it was changed, moved or deleted.',
    next: 'Choose the file again.',
    isFinal: true,
  }),
  UnexpectedAnswer: () => ({
    what: 'The answer does not come from Wherry.',
    next: 'Check the address. A proxy may require a login.',
  }),
  ServerFailed: () => ({
    what: 'The server has a problem.',
    next: 'Try again in a moment. The upload continues where it stopped.',
  }),
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
      (safe > 0 ? `${size(safe)} of ${size(total)} are safe on the server.` : 'Nothing was stored.'),
    next: said.next ?? (failure.hint || 'Try again. The upload continues where it stopped.'),
    isFinal: said.isFinal ?? false,
  }
}
