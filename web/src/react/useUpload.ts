/**
 * One upload as a React component sees it.
 *
 *     const upload = useUpload({ endpoint: '/api' })
 *     <input type="file" onChange={(e) => upload.start(e.target.files[0])} />
 *     <progress max={100} value={upload.percent} />
 *
 * Rule 1: a component that unmounts sends nothing more. The server keeps what has arrived, and
 * the same file continues from there.
 *
 * Rule 2: a new state is rendered at once, new numbers at most ten times a second.
 */

import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { EarlyVerdict, UploadDetails, UploadFailure, UploadOptions, UploadResult } from '../core'
import { Observed } from './observed'

export interface UseUpload {
  /** The file of the last `start`. */
  file: File | null
  /** 0 to 100. */
  percent: number
  /** Null before the first `start`. */
  details: UploadDetails | null
  uploadId: string | null
  /** The server's answer, once the upload is complete. */
  result: UploadResult | null
  /** Why the upload has failed; null while it runs, and after a cancel. */
  failure: UploadFailure | null
  /** What the beginning and the end of a video show before it is complete; null: nothing yet. */
  early: EarlyVerdict | null
  /** Upload this file. An upload that runs already is left: the server keeps what has arrived. */
  start(file: File): void
  /** Continue after a failure. */
  again(): void
  pause(): void
  resume(): void
  /** Cancel the upload, on the server too. Resolves even if the server was not reached. */
  cancel(): Promise<void>
}

/** Takes the options of `createUpload`. `start` uses those of the last render. */
export function useUpload(options: UploadOptions = {}): UseUpload {
  const latest = useRef(options)
  latest.current = options
  const [observed] = useState(() => new Observed(() => latest.current))
  const shown = useSyncExternalStore(observed.subscribe, observed.now, observed.now)
  useEffect(() => () => observed.leave(), [observed])
  const { start, again, pause, resume, cancel } = observed
  return { ...shown, start, again, pause, resume, cancel }
}
