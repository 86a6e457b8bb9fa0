/**
 * One upload as a React component sees it.
 *
 *     const upload = useUpload({ endpoint: '/api' })
 *     <input type="file" onChange={(e) => upload.start(e.target.files[0])} />
 *     <progress max={100} value={upload.percent} />
 *
 * Rule 1: a component that goes away sends nothing more. What is safe on the server
 * stays there; the same file given again goes on.
 *
 * Rule 2: a change of state is shown at once, a change of numbers ten times a second.
 */
import { UploadFailure } from './chunkedUploadApi.js';
import type { UploadDetails, UploadOptions, UploadResult } from './chunkedUploadApi.js';
export interface UseUpload {
    /** The file that was given last. */
    file: File | null;
    /** 0 to 100. */
    percent: number;
    /** Null until a file was given. */
    details: UploadDetails | null;
    uploadId: string | null;
    /** The server's answer, once the upload is complete. */
    result: UploadResult | null;
    /** Why it has failed; null while it goes on, and when it was cancelled. */
    failure: UploadFailure | null;
    /** Begin with this file; an upload that is under way here is left as it is. */
    start(file: File): void;
    /** After a failure: go on where it ended. */
    again(): void;
    pause(): void;
    resume(): void;
    /** End it, on the server too. Resolves also when the server could not be told. */
    cancel(): Promise<void>;
}
/** The options of `createUpload`; those given when `start` is called are used. */
export declare function useUpload(options?: UploadOptions): UseUpload;
