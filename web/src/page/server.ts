/** The addresses that the page requests, and the parts of the answers that it shows. */

import type { Range } from '../core'

/** How many unfinished uploads the operator's view asks for. */
export const MOST_UPLOADS = 200

/** Below the address of the API; they are the same in every application. */
export const paths = {
  accepted: '/chunked-upload/accepted',
  unfinished: '/chunked-upload/?state=waiting,receiving,completing&limit=1000',
  newestFinished: '/chunked-upload/?state=complete&order=newest&limit=50',
  upload: (id: string) => `/chunked-upload/${encodeURIComponent(id)}`,
  file: (id: string) => `/chunked-upload/files/${encodeURIComponent(id)}`,
  assessment: (id: string) => `/chunked-upload/assessments/${encodeURIComponent(id)}`,
  picture: (id: string, name: string) =>
    `/chunked-upload/assessments/${encodeURIComponent(id)}/pictures/${encodeURIComponent(name)}`,
  probe: '/chunked-upload/probe',
  examination: '/chunked-upload/examination',
  tickets: '/chunked-upload/guests?order=newest',
  newTicket: '/chunked-upload/guests',
  ticket: (id: string) => `/chunked-upload/guests/${encodeURIComponent(id)}`,
  overview: '/chunked-upload/overview',
  everybodysUnfinished: `/chunked-upload/all?state=waiting,receiving,completing&order=newest&limit=${MOST_UPLOADS}`,
  everybodysEnded: '/chunked-upload/all?state=failed,expired,cancelled&order=newest&limit=20',
  anybodys: (id: string) => `/chunked-upload/all/${encodeURIComponent(id)}`,
  sweep: '/chunked-upload/sweep',
  links: (id: string) => `/chunked-upload/${encodeURIComponent(id)}/links`,
  receipt: (id: string) => `/chunked-upload/${encodeURIComponent(id)}/receipt`,
}

export interface KnownUpload {
  upload_id: string
  state: string
  filename: string
  size: number | null
  received_bytes: number
  received: Range[]
  fingerprint?: string | null
  /** Of the complete file. */
  digest?: string | null
  assessment_id: string | null
  /** The position in the queue: 1 is next. */
  position?: number | null
  expires_at: string | null
  deleted_at: string | null
  /** When it was cancelled, expired or failed; a server of an earlier version does not say it. */
  ended_at?: string | null
}

/** An upload as operators see it. */
export interface OperatorsUpload extends KnownUpload {
  owner: string
  content_type: string | null
  chunk_size: number
  missing: Range[]
  failure: string | null
  ticket_id: string | null
  created_at: string
  queued_at: string | null
  admitted_at: string | null
  last_byte_at: string | null
  completed_at: string | null
}

/** What is known of the way to one public host. Sizes in bytes. */
export interface KnownPath {
  host: string
  passes: number | null
  refuses: number | null
  refused_at: string | null
  refused_by: string | null
  owners: number
  confirmed: boolean
}

/** How the server is. Sizes in bytes. */
export interface Overview {
  at: string
  version: string
  python: string
  problems: string[]
  uploads: { waiting: number; receiving: number; completing: number }
  max_open: number | null
  waiting_since: string | null
  /** `uploads` and `waiting` count uploads that are open, and in the queue. */
  storage: {
    total: number | null
    free: number | null
    reserved: number
    used: number
    uploads: number
    waiting: number
  }
  min_free: number
  assessments: { queued: number; running: number; failed: number }
  worker: { state: string; problem: string | null } | null
  paths: KnownPath[]
}

/** A guest's ticket, as its owner sees it. */
export interface Ticket {
  ticket_id: string
  state: 'valid' | 'used-up' | 'expired' | 'revoked'
  /** How many files may come, and how many have come or are on their way. */
  uploads: number
  used: number
  note: string
  expires_at: string
  /** The upload whose report it shows; null for one that is for uploads. */
  shows?: string | null
  with_file?: boolean
}

export interface Step {
  name: string
  state: 'waiting' | 'running' | 'done' | 'failed' | 'skipped'
  seconds: number | null
}

export interface Assessment {
  assessment_id: string
  upload_id: string
  state: 'queued' | 'running' | 'done' | 'failed'
  steps: Step[]
  report: Report | null
  problem: string | null
  /** The state of the worker, until the assessment is over. */
  worker?: { state: 'starting' | 'working' | 'failing'; problem: string | null } | null
}

/** `assessment.v1`, as far as the page shows it. What is optional, older reports do not have. */
export interface Report {
  verdict: 'pass' | 'warn' | 'fail' | 'not-assessed'
  policy: string
  findings: Finding[]
  artefacts: Artefact[]
  probe: Probe | null
  integrity?: { streams: { index: number; start?: number | null; end?: number | null }[] } | null
  audio?: Audio
  source?: { filename: string; size: number | null; digest: string }
}

/** Loudness in LUFS. */
export interface Audio {
  stream?: number | null
  loudness?: { integrated: number | null; true_peak: number | null } | null
  /** The loudness of each stretch of `every` seconds; null: nothing can be heard. */
  loudness_curve?: Curve | null
}

export interface Curve {
  every: number
  values: (number | null)[]
}

export interface Finding {
  code: string
  severity: 'info' | 'warn' | 'fail'
  message: string
  /** Seconds; null for the whole file. */
  start: number | null
  end: number | null
}

export interface Artefact {
  name: string
  kind: string
  content_type: string
  width?: number | null
  height?: number | null
  time?: number | null
}

export interface Probe {
  container?: string | null
  duration?: number | null
  streams?: Stream[]
}

export interface Stream {
  type: string
  codec: string | null
  cover?: boolean
  width?: number | null
  height?: number | null
  /** As shown: with square pixels, upright. */
  display_width?: number | null
  display_height?: number | null
  frame_rate?: number | null
  sample_rate?: number | null
  channels?: number | null
  layout?: string | null
}

/** A request to the probe that the server asks for. */
export interface WantedRequest {
  size: number
  content_type: string
  /** Seconds in which the answer comes slowly; 0: at once. */
  drip: number
  /** How long it may take. */
  seconds: number
}

/** What came of it. Times in seconds. */
export interface MadeRequest {
  size: number
  began: number
  end: 'answer' | 'reset' | 'timeout'
  at: number
  over_at: number
  status?: number
  headers?: Record<string, string>
  /** In base64: filters refuse bodies with HTML in them. */
  page?: string
  arrived?: {
    bytes: number
    first_byte: number | null
    last_byte: number | null
    host: string
    headers: string[]
  } | null
}

/** Either the next request, or the report and the letter. */
export interface Examined {
  next: WantedRequest | null
  report: PathReport | null
  letter: string | null
}

/** What `wherry doctor --json` prints, as far as the page shows it. */
export interface PathReport {
  verdict: 'wide' | 'narrow' | 'trouble' | 'unknown' | 'unreachable'
  limit: { passes: number | null; refuses: number | null; sent: number }
  proxies: { proxy: string; version: string | null; evidence: string[] }[]
  buffers: { request: boolean | null; answer: boolean | null }
  http: { protocol: string | null }
  clock: { skew: number | null }
  findings: { code: string; level: 'problem' | 'note' | 'good'; text: string }[]
  remedies: Remedy[]
  spent: { bytes: number; requests: number; seconds: number }
}

export interface Remedy {
  proxy: string
  title: string
  text: string
  snippets: { language: string; about: string; code: string }[]
  after: string
}

/** Whether the upload can continue. */
export function isUnfinished(upload: KnownUpload): boolean {
  return ['waiting', 'receiving', 'completing'].includes(upload.state)
}

/** Whether the file is still on the server. */
export function isThere(upload: KnownUpload): boolean {
  return upload.state === 'complete' && upload.deleted_at === null
}
