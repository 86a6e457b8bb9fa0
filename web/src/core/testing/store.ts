/** A server whose files are in an object store, to which the browser sends parts itself. */

import { crc64, renderCrc } from '../digest'
import type { Answer, Asked } from '../transport'
import type { Range } from '../types'
import { FakeServer, problem, reply, type FakeUpload, type Request } from './fake'

const STORE = 'https://store.test'

/** A request to the store has the verb `put`; `query` has the upload and the number. */
export class FakeStoreServer extends FakeServer {
  partSize = 4 * 64 * 1024
  /** What the store has, by the name of the part. */
  private readonly stored = new Map<string, Uint8Array>()

  /** The numbers of the parts that were sent to the store, in their order. */
  get put(): number[] {
    return this.verbs('put').map(({ query }) => Number(query.get('number')))
  }

  protected override parse(asked: Asked, bytes: Uint8Array): Request {
    const request = super.parse(asked, bytes)
    return asked.url.startsWith(STORE) ? { ...request, verb: 'put' } : request
  }

  protected override init(request: Request): Answer {
    const own = super.init(request)
    const direct = request.json['direct'] ? { part_size: this.partSize } : null
    return { ...own, text: JSON.stringify({ ...(JSON.parse(own.text) as object), direct }) }
  }

  protected override own(request: Request, bytes: Uint8Array): Answer {
    const { json, query, verb } = request
    if (verb === 'put') return this.take(request, bytes)
    const upload = this.uploads.get(String(json['upload_id'] ?? query.get('upload_id')))
    if (upload?.state !== 'receiving') return super.own(request, bytes)
    if (verb === 'direct') return this.addresses(upload, json)
    if (verb === 'received') return this.record(upload, request)
    return super.own(request, bytes)
  }

  private take({ headers, query }: Request, bytes: Uint8Array): Answer {
    const crc = renderCrc(crc64(bytes))
    const isRight = headers['x-amz-checksum-crc64nvme'] === crc && query.get('crc') === crc
    if (!isRight || headers['authorization']) return { status: 403, text: '<Error/>', headers: {} }
    this.stored.set(`${query.get('upload')}/${query.get('number')}`, bytes)
    return { status: 200, text: '', headers: {} }
  }

  rangeOf(upload: FakeUpload, number: number): Range {
    const start = (number - 1) * this.partSize
    return [start, Math.min(start + this.partSize, upload.data.length)]
  }

  private addresses(upload: FakeUpload, json: Record<string, unknown>): Answer {
    const wanted = json['parts'] as { number: number; crc64nvme: string }[]
    const parts = []
    for (const { number, crc64nvme } of wanted) {
      const [start, end] = this.rangeOf(upload, number)
      const isTouched = upload.received.some((range) => range[0] < end && range[1] > start)
      if (number === 1 || start >= end) return problem(400, 'bad-request', { field: 'parts' })
      if (upload.received.some((range) => range[0] <= start && range[1] >= end)) continue
      if (isTouched) return problem(400, 'bad-request', { field: 'parts' })
      const query = new URLSearchParams({ upload: upload.id, number: `${number}`, crc: crc64nvme })
      const headers = { 'x-amz-checksum-crc64nvme': crc64nvme }
      parts.push({ number, start, end, method: 'PUT', url: `${STORE}/part?${query}`, headers })
    }
    return reply(200, { expires_at: '2026-11-27T12:15:00Z', parts })
  }

  private record(upload: FakeUpload, request: Request): Answer {
    const numbers = request.json['parts'] as number[]
    const lacking = numbers.filter((number) => !this.stored.has(`${upload.id}/${number}`))
    for (const number of numbers) {
      const bytes = this.stored.get(`${upload.id}/${number}`)
      if (bytes) this.receive(upload, this.rangeOf(upload, number)[0], bytes)
    }
    if (lacking.length) return problem(409, 'parts-missing', { parts: lacking, retryable: true })
    return this.lacks(upload)
  }

  /** The store loses a part that it has confirmed. */
  lose(number: number): void {
    this.stored.delete(`${this.only.id}/${number}`)
  }
}
