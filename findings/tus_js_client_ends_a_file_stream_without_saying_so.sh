#!/usr/bin/env bash
# By the IETF's drafts, tus-js-client ends a file stream in Node without ever saying that it is complete, and reports success.
#
# Version: tus-js-client 4.3.1 (npm), protocols 'ietf-draft-03' and 'ietf-draft-05', fs.ReadStream with a path, chunkSize
# below the file's size. The last PATCH has Upload-Complete: ?0, because the client compares the size of the chunk with that
# of the file, and not its end. It calls onSuccess, as the offset is the file's size. By the drafts, only ?1 completes an
# upload, so a server waits for more, and never hands the file over. A Buffer with the same bytes ends with ?1. By tus 1.0,
# the same stream is complete, because there the offset alone decides.
# Seen: ietf-draft-03 stream: ?0 ?0 ?0 success; ietf-draft-05 stream: ?0 ?0 ?0 success; ietf-draft-05 buffer: ?0 ?0 ?1 success
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
npm install --silent --prefix "$work" tus-js-client@4.3.1
head -c 3000 /dev/zero > "$work/film.mp4"
cat > "$work/run.mjs" <<'JAVASCRIPT'
import { createReadStream, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import * as tus from 'tus-js-client'

const path = new URL('film.mp4', import.meta.url).pathname
let offset = 0
let said = []
const server = createServer((ask, answer) => {
  let size = 0
  ask.on('data', (data) => { size += data.length })
  ask.on('end', () => {
    if (ask.method === 'POST') {
      offset = 0
      said = []
      answer.writeHead(201, { Location: '/upload', 'Upload-Offset': 0 })
    } else {
      offset += size
      said.push(ask.headers['upload-complete'])
      answer.writeHead(204, { 'Upload-Offset': offset })
    }
    answer.end()
  })
})
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const endpoint = `http://127.0.0.1:${server.address().port}/`
const run = (protocol, input) => new Promise((done) => {
  const onSuccess = () => done(`${said.join(' ')} success`)
  const onError = (error) => done(`${said.join(' ')} ${error}`)
  const options = { endpoint, protocol, uploadSize: 3000, chunkSize: 1000, retryDelays: null, onSuccess, onError }
  new tus.Upload(input, options).start()
})
const seen = [
  `ietf-draft-03 stream: ${await run('ietf-draft-03', createReadStream(path))}`,
  `ietf-draft-05 stream: ${await run('ietf-draft-05', createReadStream(path))}`,
  `ietf-draft-05 buffer: ${await run('ietf-draft-05', readFileSync(path))}`,
]
console.log(seen.join('; '))
process.exit()
JAVASCRIPT
seen=$(node "$work/run.mjs")
echo "$seen"
[ "$seen" = "ietf-draft-03 stream: ?0 ?0 ?0 success; ietf-draft-05 stream: ?0 ?0 ?0 success; ietf-draft-05 buffer: ?0 ?0 ?1 success" ]
