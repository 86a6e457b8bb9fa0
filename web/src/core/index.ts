export * from './errors'
export type * from './types'
export { createUpload, defaults, smartUpload, uploadVideo, uploadVideoChunked } from './upload'
