/**
 * The life of an upload, for its timeline and for a text that explains it to somebody else.
 *
 * Rule 1: the text is in English and has exact numbers, whatever language the page speaks. It has no
 * key, no ticket, no fingerprint and no metadata.
 */

import { shownName } from './names'
import type { KnownPath, OperatorsUpload, Overview } from './server'

export type Happening =
  | 'begun'
  | 'queued'
  | 'admitted'
  | 'lastByte'
  | 'complete'
  | 'ended'
  | 'deleted'
  | 'keptUntil'

/** What happened, by its time; only what is recorded. */
export function timelineOf(upload: OperatorsUpload): { what: Happening; at: string }[] {
  const all: [Happening, string | null][] = [
    ['begun', upload.created_at],
    ['queued', upload.queued_at],
    ['admitted', upload.admitted_at],
    ['lastByte', upload.last_byte_at],
    ['complete', upload.completed_at],
    ['ended', upload.ended_at ?? null],
    ['deleted', upload.deleted_at],
    ['keptUntil', upload.expires_at],
  ]
  return all
    .flatMap(([what, at]) => (at === null ? [] : [{ what, at }]))
    .sort((one, other) => Date.parse(one.at) - Date.parse(other.at))
}

export function diagnosticsOf(upload: OperatorsUpload, overview: Overview): string {
  const { storage, problems, worker, uploads } = overview
  const facts: [string, string | number | null][] = [
    ['upload', upload.upload_id],
    ['state', upload.state],
    ['failure', upload.failure],
    ['file', `${shownName(upload.filename)} (${upload.content_type ?? 'no type'})`],
    ['owner', shownName(upload.owner)],
    ['by a guest', upload.ticket_id === null ? 'no' : 'yes'],
    ['size', upload.size === null ? 'not known' : bytes(upload.size)],
    ['safe', `${bytes(upload.received_bytes)} in ${upload.received.length} part(s)`],
    ['first gaps', upload.missing.slice(0, 5).map(([a, b]) => `${a}-${b}`).join(', ') || 'none'],
    ['chunk size', bytes(upload.chunk_size)],
    ['position in the queue', upload.position ?? null],
    ['assessment', upload.assessment_id],
    ...timelineOf(upload).map(({ what, at }): [string, string] => [WORDS[what], at]),
  ]
  const server: [string, string | number | null][] = [
    ['at', overview.at],
    ['versions', `Wherry ${overview.version}, Python ${overview.python}`],
    ['problems', problems.join(' ') || 'none'],
    ['open', `${storage.uploads} of ${overview.max_open ?? 'any number'}`],
    ['uploads', `${uploads.receiving} receiving, ${uploads.completing} completing, ${storage.waiting} in the queue`],
    ['used', bytes(storage.used)],
    ['reserved', bytes(storage.reserved)],
    ['free', storage.free === null ? 'object store' : `${bytes(storage.free)} of ${bytes(storage.total!)}`],
    ['never reserved', bytes(overview.min_free)],
    ['worker', worker === null ? 'none' : [worker.state, worker.problem].filter(Boolean).join(': ')],
  ]
  return [
    'Upload',
    ...lines(facts),
    '',
    'Server',
    ...lines(server),
    '',
    'Paths',
    ...(overview.paths.length > 0 ? overview.paths.map(pathLine) : ['  nothing is known']),
    '',
  ].join('\n')
}

const WORDS: Record<Happening, string> = {
  begun: 'begun',
  queued: 'in the queue since',
  admitted: 'admitted',
  lastByte: 'last byte',
  complete: 'complete',
  ended: 'ended',
  deleted: 'file deleted',
  keptUntil: 'kept until',
}

const bytes = (n: number) => `${n} bytes`

function lines(facts: [string, string | number | null][]): string[] {
  return facts.flatMap(([name, value]) => (value === null ? [] : [`  ${name}: ${value}`]))
}

function pathLine(path: KnownPath): string {
  const passes = path.passes === null ? 'nothing yet' : bytes(path.passes)
  if (path.refuses === null) return `  ${path.host}: passes ${passes}`
  const by = path.refused_by === null ? '' : ` by ${path.refused_by}`
  const word = path.confirmed ? 'confirmed' : 'not confirmed'
  return `  ${path.host}: passes ${passes}, refuses ${bytes(path.refuses)}${by} (reported by ${path.owners}, ${word}, ${path.refused_at})`
}
