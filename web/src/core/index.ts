export * from './errors'
export type * from './types'
export { createUpload, defaults, leave, smartUpload, uploadVideo, uploadVideoChunked } from './upload'
