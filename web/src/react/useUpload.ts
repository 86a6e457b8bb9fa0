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

import { useCallback, useEffect, useRef, useState } from 'react'
import { createUpload, leave, UploadFailure } from '../core'
import type { Upload, UploadDetails, UploadOptions, UploadResult } from '../core'

/** How often new numbers are rendered, in milliseconds. */
const RENDER_INTERVAL = 100

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
  /** Upload this file. An upload that runs already is left: the server keeps what has arrived. */
  start(file: File): void
  /** Continue after a failure. */
  again(): void
  pause(): void
  resume(): void
  /** Cancel the upload, on the server too. Resolves even if the server was not reached. */
  cancel(): Promise<void>
}

interface Shown {
  file: File | null
  percent: number
  details: UploadDetails | null
  uploadId: string | null
  result: UploadResult | null
  failure: UploadFailure | null
}

const NOTHING: Shown = {
  file: null,
  percent: 0,
  details: null,
  uploadId: null,
  result: null,
  failure: null,
}

/** Takes the options of `createUpload`. `start` uses those of the last render. */
export function useUpload(options: UploadOptions = {}): UseUpload {
  const [shown, show] = useState<Shown>(NOTHING)
  const latest = useRef(options)
  latest.current = options
  const current = useRef<Upload | null>(null)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)

  useEffect(
    () => () => {
      clearTimeout(timer.current)
      if (current.current) leave(current.current)
      current.current = null
    },
    [],
  )

  const run = useCallback((upload: Upload) => {
    const change = (more: Partial<Shown>) => {
      if (current.current !== upload) return
      clearTimeout(timer.current)
      timer.current = undefined
      const facts = { details: upload.details, uploadId: upload.uploadId }
      show((before) => ({ ...before, ...facts, ...more }))
    }
    change({ failure: null })
    upload.start().then(
      (result) => change({ result, percent: 100 }),
      (error: unknown) => {
        const cancelled = upload.details.state === 'cancelled'
        change({ failure: cancelled ? null : asFailure(error) })
      },
    )
  }, [])

  const start = useCallback(
    (file: File) => {
      if (current.current) leave(current.current)
      clearTimeout(timer.current)
      timer.current = undefined
      const { onProgress, ...rest } = latest.current
      let state = ''
      let percent = 0
      const upload = createUpload(file, {
        ...rest,
        onProgress: (now, details) => {
          latest.current.onProgress?.(now, details)
          if (current.current !== upload) return
          percent = now
          const paint = () => {
            timer.current = undefined
            const facts = { details: upload.details, uploadId: upload.uploadId }
            show((before) => ({ ...before, ...facts, percent }))
          }
          if (details.state !== state) {
            state = details.state
            clearTimeout(timer.current)
            paint()
          } else {
            timer.current ??= setTimeout(paint, RENDER_INTERVAL)
          }
        },
      })
      current.current = upload
      show({ ...NOTHING, file, details: upload.details })
      run(upload)
    },
    [run],
  )

  const again = useCallback(() => {
    if (current.current) run(current.current)
  }, [run])
  const pause = useCallback(() => current.current?.pause(), [])
  const resume = useCallback(() => current.current?.resume(), [])
  const cancel = useCallback(async () => {
    const upload = current.current
    if (!upload) return
    try {
      await upload.cancel()
    } catch {
      // An upload that the server could not cancel expires by itself.
    }
    if (current.current !== upload) return
    show((before) => ({
      ...before,
      details: { ...upload.details, state: 'cancelled' },
      failure: null,
    }))
  }, [])

  return { ...shown, start, again, pause, resume, cancel }
}

function asFailure(error: unknown): UploadFailure {
  if (error instanceof UploadFailure) return error
  const message = error instanceof Error ? error.message : String(error)
  return new UploadFailure(message, { cause: error })
}
