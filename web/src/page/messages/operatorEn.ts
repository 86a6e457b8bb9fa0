/** The operator's view in English. It is loaded with that view, and has its languages apart. */

import { counting } from './counting'

const { count } = counting('en-GB')

const owners = (n: number) => count(n, { one: '# owner', other: '# owners' })
const items = (n: number) => count(n, { one: '# item', other: '# items' })

export const operatorEn = {
  title: 'Operator’s view',
  documentTitle: 'Operator’s view · Wherry',
  refused: 'This view is for operators.',
  refusedNext:
    'Your key or login does not have the rights of an operator. Nothing is shown, and your uploads are not affected.',
  old: 'What you see is old.',
  oldNext: 'This view tries again automatically.',
  updated: (time: string, version: string) => `Updated at ${time}. Wherry ${version}.`,

  now: 'The server now',
  open: 'Open uploads',
  queue: 'Queue',
  empty: 'empty',
  first: (n: number, time: string) =>
    `${count(n, { one: '# upload', other: '# uploads' })}, the first for ${time}`,
  speed: 'Speed',
  notKnown: 'not known yet',
  storage: 'Storage',
  space: (used: string, reserved: string) => `${used} used, ${reserved} reserved`,
  free: (free: string, total: string) => `${free} of ${total} free`,
  assessments: 'Assessments',
  assessed: (running: number, queued: number, failed: number) =>
    `${running} running, ${queued} queued, ${failed} failed`,
  share: (percent: number) => `${percent} percent of the storage in use or reserved`,

  inFlight: 'Uploads in flight',
  noneInFlight: 'Nothing is being uploaded.',
  noneQueued: 'No upload waits.',
  ended: 'Ended without a file',
  noneEnded: 'Every upload has ended with its file.',
  paths: 'Path limits',
  noPath: 'Nothing is known of any path yet.',
  notShown: (n: number) => `${n} more are not shown.`,
  file: 'File',
  owner: 'Owner',
  state: 'State',
  safe: 'Safe',
  lastByte: 'Last byte',
  position: 'Position',
  size: 'Size',
  since: 'Waiting for',
  reason: 'Reason',
  begun: 'Begun',
  host: 'Host',
  passes: 'Passes',
  refuses: 'Refuses',
  by: 'Refused by',
  reports: 'Reports',
  reported: (n: number, isConfirmed: boolean) =>
    isConfirmed ? `${owners(n)}, confirmed` : `${owners(n)}, not confirmed`,
  ago: (time: string) => `${time} ago`,
  states: {
    waiting: 'waiting',
    receiving: 'receiving',
    completing: 'finishing',
    complete: 'complete',
    cancelled: 'cancelled',
    expired: 'expired',
    failed: 'refused',
  } as Record<string, string>,

  endedAs: (state: string) => `Ended: ${state}.`,
  timeline: 'Timeline',
  events: {
    begun: 'Begun',
    queued: 'In the queue',
    admitted: 'Admitted',
    lastByte: 'Newest byte arrived',
    complete: 'Complete',
    deleted: 'File deleted',
    keptUntil: 'Kept until here, if nothing more arrives',
  },
  copy: 'Copy diagnostics',
  copied: 'The diagnostics were copied.',
  notCopied: 'This browser does not allow copying. The text is below.',
  diagnostics: 'Diagnostics',
  cancel: 'Cancel the upload',
  cancelThis: (size: string) => `Cancel this upload and delete the ${size} that arrived?`,
  keep: 'Keep it',
  wasCancelled: (name: string) => `The upload of ${name} was cancelled.`,
  notCancelled: (why: string) => `The upload was not cancelled. ${why}`,
  unreachable: 'The server cannot be reached. Try again.',

  find: 'Find an upload',
  id: 'Upload id',
  search: 'Find',
  notFound: 'There is no upload with this id.',

  sweep: 'Clean up',
  sweepAbout:
    'Deletes expired uploads, files that were kept long enough, and what crashes left behind. The server does this every minute by itself.',
  sweepNow: 'Clean up now',
  sweepThis: (n: number, size: string) => `Delete ${items(n)} and free ${size}?`,
  sweepNothing: 'There is nothing to clean up.',
  keepAll: 'Delete nothing',
  swept: (n: number, size: string) => `${items(n)} deleted, ${size} freed.`,
}

export type OperatorMessages = typeof operatorEn
