/**
 * An uploader for Uppy: files that Uppy has gathered go to Wherry.
 *
 *     import Wherry from './api/uppyWherry'
 *     uppy.use(Wherry, { endpoint: '/api' })
 *     uppy.on('upload-success', (file, { body }) => show(body.assessment_id))
 *
 * Rule 1: at most `limit` files are under way at once. Those that are paused do not count.
 *
 * Rule 2: a file that is removed from Uppy is cancelled on the server too, unless it has arrived.
 */

import { BasePlugin } from '@uppy/core'
import type { Body, Meta, PluginOpts, Uppy, UppyFile } from '@uppy/core'
import { createUpload, leave, UploadFailure } from '../core'
import type { Upload, UploadOptions, UploadResult } from '../core'

/** How many files are under way at once if nothing else is said: a browser has six connections. */
const LIMIT = 3

/** `body` of Uppy's `upload-success`. */
export type WherryBody = UploadResult & Body

export interface WherryOptions
  extends PluginOpts, Omit<UploadOptions, 'signal' | 'filename' | 'contentType' | 'metadata' | 'onProgress'> {
  /** How many files are under way at once. Default: 3. */
  limit?: number
  /** The fields of a file's `meta` that the server gets. Default: all that have a value. */
  allowedMetaFields?: string[] | true
}

interface Job {
  id: string
  /** Null while it waits. */
  upload: Upload | null
  isPaused: boolean
  end(): void
}

export default class Wherry<M extends Meta, B extends Body> extends BasePlugin<WherryOptions, M, B> {
  private readonly jobs = new Map<string, Job>()

  constructor(uppy: Uppy<M, B>, options: WherryOptions = {}) {
    super(uppy, options)
    this.type = 'uploader'
    this.id = options.id ?? 'Wherry'
  }

  override install(): void {
    this.setResumable(true)
    this.uppy.addUploader(this.upload)
    this.uppy.on('upload-pause', this.onPause)
    this.uppy.on('pause-all', this.onPauseAll)
    this.uppy.on('resume-all', this.onResumeAll)
    this.uppy.on('file-removed', this.onRemoved)
  }

  override uninstall(): void {
    this.setResumable(false)
    this.uppy.removeUploader(this.upload)
    this.uppy.off('upload-pause', this.onPause)
    this.uppy.off('pause-all', this.onPauseAll)
    this.uppy.off('resume-all', this.onResumeAll)
    this.uppy.off('file-removed', this.onRemoved)
    for (const job of this.jobs.values()) {
      if (job.upload) leave(job.upload)
      job.end()
    }
    this.jobs.clear()
  }

  private setResumable(resumableUploads: boolean): void {
    const { capabilities } = this.uppy.getState()
    this.uppy.setState({ capabilities: { ...capabilities, resumableUploads } })
  }

  private readonly upload = async (ids: string[]): Promise<void> => {
    const files = this.uppy.getFilesByIds(ids).filter((file) => !file.error)
    const begun = files.filter((file) => !file.progress.uploadStarted || !file.isRestored)
    this.uppy.emit('upload-start', begun)
    await Promise.all(files.map((file) => this.add(file)))
  }

  /** Resolves when the file has arrived, has failed, or was removed. */
  private add({ id, isPaused = false }: UppyFile<M, B>): Promise<void> {
    return new Promise((end) => {
      this.jobs.set(id, { id, upload: null, isPaused, end })
      this.beginNext()
    })
  }

  private beginNext(): void {
    const jobs = [...this.jobs.values()].filter((job) => !job.isPaused)
    const waiting = jobs.filter((job) => job.upload === null)
    const places = (this.opts.limit ?? LIMIT) - (jobs.length - waiting.length)
    for (const job of waiting.slice(0, Math.max(places, 0))) void this.run(job)
  }

  private async run(job: Job): Promise<void> {
    const { id } = job
    try {
      job.upload = this.uploadOf(this.uppy.getFile(id))
      const body = (await job.upload.start()) as WherryBody as unknown as B
      if (this.isIn(job)) this.uppy.emit('upload-success', this.uppy.getFile(id), { status: 200, body })
    } catch (error) {
      if (this.isIn(job)) this.fail(id, error)
    }
    if (this.isIn(job)) this.jobs.delete(id)
    job.end()
    this.beginNext()
  }

  private uploadOf(file: UppyFile<M, B>): Upload {
    const { limit: _, allowedMetaFields, id: __, locale: ___, ...options } = this.opts
    if (file.isRemote) throw new Error('Wherry uploads files of this device only, not those of Companion.')
    return createUpload(asFile(file), {
      ...options,
      filename: file.name,
      contentType: file.type,
      metadata: metadataOf(file.meta, allowedMetaFields ?? true),
      onProgress: (_percent, { bytesSent, bytesTotal }) => {
        const now = this.jobs.has(file.id) ? this.uppy.getFile(file.id) : undefined
        if (!now) return
        const uploadStarted = now.progress.uploadStarted ?? Date.now()
        this.uppy.emit('upload-progress', now, { uploadStarted, bytesUploaded: bytesSent, bytesTotal })
      },
    })
  }

  private fail(id: string, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    const file = this.uppy.getFile(id)
    const said = error instanceof UploadFailure ? { status: error.status ?? 0, body: error.facts } : undefined
    this.uppy.emit('upload-error', file, error, said as { status: number; body: B } | undefined)
  }

  private isIn(job: Job): boolean {
    return this.jobs.get(job.id) === job
  }

  private readonly onPause = (file: UppyFile<M, B> | undefined, isPaused: boolean): void => {
    const job = file && this.jobs.get(file.id)
    if (job) this.pause(job, isPaused)
  }

  private readonly onPauseAll = (): void => {
    for (const job of this.jobs.values()) this.pause(job, true)
  }

  private readonly onResumeAll = (): void => {
    for (const job of this.jobs.values()) this.pause(job, false)
  }

  private pause(job: Job, isPaused: boolean): void {
    job.isPaused = isPaused
    if (isPaused) job.upload?.pause()
    else job.upload?.resume()
    this.beginNext()
  }

  private readonly onRemoved = ({ id }: UppyFile<M, B>): void => {
    const job = this.jobs.get(id)
    if (!job) return
    this.jobs.delete(id)
    // An upload that the server could not cancel expires by itself.
    job.upload?.cancel().catch(() => undefined)
    job.end()
    this.beginNext()
  }
}

/** A picture from the camera or an editor is a blob, and has no time of its own. */
function asFile({ data, name, type }: { data?: Blob; name?: string; type?: string }): File {
  if (data instanceof File) return data
  if (!data) throw new Error('The file has no content.')
  return new File([data], name ?? '', { type: type ?? data.type })
}

/** What the server takes is text. */
function metadataOf(meta: Meta, allowed: string[] | true): Record<string, string> {
  const has = ([name, value]: [string, unknown]) =>
    value != null && (allowed === true ? !['name', 'type'].includes(name) : allowed.includes(name))
  return Object.fromEntries(Object.entries(meta).filter(has).map(([name, value]) => [name, String(value)]))
}
