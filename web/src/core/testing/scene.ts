/** What the tests of whole uploads share: a server and a browser, new for each test. */

import { beforeEach } from 'vitest'
import { OneUpload } from '../upload'
import type { UploadOptions } from '../types'
import { FakeServer, FakeEnvironment } from './fake'

export let server: FakeServer
export let environment: FakeEnvironment

beforeEach(() => {
  server = new FakeServer()
  environment = new FakeEnvironment(server)
})

export function upload(
  file: File,
  options: UploadOptions = {},
  isOnce = false,
  in_ = environment,
): OneUpload {
  return new OneUpload(file, options, isOnce, in_)
}

export async function failure(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await promise.then(
    () => new Error('it went well'),
    (error: unknown) => error,
  )
  return error as Record<string, unknown>
}
