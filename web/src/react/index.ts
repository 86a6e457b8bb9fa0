export { useUpload } from './useUpload'
export type { UseUpload } from './useUpload'
