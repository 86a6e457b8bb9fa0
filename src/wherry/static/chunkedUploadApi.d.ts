/** The types of Wherry's browser client: keep this file beside chunkedUploadApi.js. */
/**
 * Everything an upload can fail with.
 *
 * Rule 1: the type says what to do, the fields say why.
 *
 * Rule 2: only a refusal for size has "413" or "too large" in its message, whatever text the
 * server sends: applications search messages for these two.
 */
export interface Facts {
    code?: string;
    status?: number | null;
    retryable?: boolean;
    hint?: string;
    retryAfter?: number | null;
    facts?: Record<string, unknown>;
    cause?: unknown;
}
/** The base class of all errors. */
export declare class UploadFailure extends Error {
    /** The `name` of its errors. A bundler may rename the class itself. */
    protected static readonly kind: string;
    /** The error code of the server, or of this client. */
    readonly code: string;
    /** The HTTP status; null where there was no answer. */
    readonly status: number | null;
    /** The same call may succeed later, and continues where this one ended. */
    readonly retryable: boolean;
    /** What to do about it: a sentence to show to the user. */
    readonly hint: string;
    /** Seconds. */
    readonly retryAfter: number | null;
    /** What the server said: the fields of its problem document. */
    readonly facts: Record<string, unknown>;
    constructor(message: string, facts?: Facts);
}
/** The file is too large for the server, or the smallest chunk is too large for a proxy. */
export declare class TooLarge extends UploadFailure {
    protected static readonly kind = "TooLarge";
}
/** Cancelled here: by `cancel()` or an `AbortSignal`. */
export declare class Aborted extends UploadFailure {
    protected static readonly kind = "AbortError";
}
/** 401 or 403, also with fresh headers. What was sent stays; log in and call again. */
export declare class Unauthorized extends UploadFailure {
    protected static readonly kind = "Unauthorized";
}
/** There was no answer. What was sent may have arrived or not. */
export declare class ConnectionLost extends UploadFailure {
    protected static readonly kind = "ConnectionLost";
}
/** There was no progress for the whole of `patience`; `cause` is the last error. */
export declare class GaveUp extends UploadFailure {
    protected static readonly kind = "GaveUp";
}
/** The upload was cancelled elsewhere, has expired or has failed. Its bytes are deleted. */
export declare class UploadGone extends UploadFailure {
    protected static readonly kind = "UploadGone";
}
/** 507: the file can never fit into the space that the server has. */
export declare class NoSpace extends UploadFailure {
    protected static readonly kind = "NoSpace";
}
/**
 * The request of `uploadVideo` was sent as a whole, and its answer was lost. The upload may be
 * complete. It is not repeated automatically: that could make two.
 */
export declare class AnswerLost extends UploadFailure {
    protected static readonly kind = "AnswerLost";
    constructor(cause: unknown);
}
/** The server is full at the moment. Uploads in chunks wait for room; `uploadVideo` throws this. */
export declare class NoRoom extends UploadFailure {
    protected static readonly kind = "NoRoom";
}
/** Any other 4xx: the server does not accept the request, the file or its type. */
export declare class Refused extends UploadFailure {
    protected static readonly kind = "Refused";
}
/** 5xx: the server has failed, or a proxy could not reach it. */
export declare class ServerFailed extends UploadFailure {
    protected static readonly kind = "ServerFailed";
}
/** The answer does not come from Wherry: usually the address is wrong. */
export declare class UnexpectedAnswer extends UploadFailure {
    protected static readonly kind = "UnexpectedAnswer";
}
/** The file can no longer be read: it was changed, moved or deleted on the disk. */
export declare class FileChanged extends UploadFailure {
    protected static readonly kind = "FileChanged";
}
/** The public types of the browser client. Sizes are bytes, times are seconds. */
/** Sent with every request; a function is called again after a 401 or 403. */
export type Headers = Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
export interface UploadOptions {
    /** The address before `/chunked-upload`. Default: `/api`. */
    endpoint?: string;
    headers?: Headers;
    /** As of `fetch`. Default: `same-origin`. */
    credentials?: 'same-origin' | 'include' | 'omit';
    /** Aborting it cancels the upload, on the server too. */
    signal?: AbortSignal;
    /** Default: the file's own name, or `upload.bin`. */
    filename?: string;
    /** Default: the file's own type. */
    contentType?: string;
    /** Passed to the server's `on_complete`. */
    metadata?: Record<string, string>;
    /** Default: the server's choice; smaller if a proxy refuses that. */
    chunkSize?: number;
    /** Chunks in flight at once, at least 1. The server's number is the default and the maximum. */
    concurrency?: number;
    /** Give up after this many seconds without progress. Default: 300. */
    patience?: number;
    /** Identifies the file, to find its upload again. `false`: always begin a new upload. */
    fingerprint?: string | false;
    onProgress?: OnProgress;
    /**
     * Is told what the beginning and the end of a video show, before it is complete. The upload goes on:
     * `cancel()` stops it.
     */
    onEarly?: (early: EarlyVerdict) => void;
}
/** `code` and `message` are those of the report. */
export interface EarlyFinding {
    code: string;
    severity: 'info' | 'warn' | 'fail';
    message: string;
}
/** What the rest of the file cannot change. The verdict of the report may be worse. */
export interface EarlyVerdict {
    verdict: 'pass' | 'warn' | 'fail' | 'not-assessed';
    policy: string;
    findings: EarlyFinding[];
}
/** `percent`: 0 to 100. It never falls. */
export type OnProgress = (percent: number, details: UploadDetails) => void;
export type UploadState = 'starting' | 'sending'
/** The server is full. `position` is the place in its queue, if the upload has one. */
 | 'waiting'
/** Something failed (`problem`); the next try is in `retryAfter` seconds. */
 | 'retrying' | 'paused' | 'completing' | 'done' | 'cancelled' | 'failed';
/** `[start, end]`: the bytes from `start` up to, not including, `end`. */
export type Range = [start: number, end: number];
/** One moment of an upload. */
export interface UploadDetails {
    state: UploadState;
    bytesTotal: number;
    /** Acknowledged bytes and those in flight, but for a request that is larger than any that has passed. */
    bytesSent: number;
    /** Bytes that the server has acknowledged: they are never lost. */
    bytesSafe: number;
    /** Counted in chunks of the current size; both change with it. */
    chunksTotal: number;
    chunksDone: number;
    chunkSize: number | null;
    safe: Range[];
    sending: Range[];
    /** Bytes a second over the last ten seconds; null if nothing has moved for five. */
    speed: number | null;
    secondsLeft: number | null;
    /** The position in the server's queue: 1 is next. */
    position: number | null;
    retryAfter: number | null;
    /** The size of the last request that a proxy or the server refused as too large. */
    refusedSize: number | null;
    /** Why it is retrying, waiting or has failed: a sentence to show to the user. */
    problem: string | null;
}
/** The server's own JSON. */
export interface UploadResult {
    upload_id: string;
    assessment_id: string | null;
    state: string;
    [more: string]: unknown;
}
export interface Upload {
    /**
     * Sends what the server does not have yet. Called after a failure, it continues; called while
     * it runs, it returns the same promise. Rejects with `UploadFailure`.
     */
    start(): Promise<UploadResult>;
    /** Sends nothing more until `resume()`. Chunks in flight are sent again then. */
    pause(): void;
    resume(): void;
    /** Cancels the upload, on the server too. `start()` rejects with `Aborted`. */
    cancel(): Promise<void>;
    readonly details: UploadDetails;
    readonly uploadId: string | null;
}
/** An upload with `start`, `pause`, `resume` and `cancel`. */
export declare function createUpload(file: Blob, options?: UploadOptions): Upload;
/** Options for all uploads. The options of one upload take precedence. */
export declare const defaults: UploadOptions;
/**
 * For a page or component that goes away: sends nothing more and releases the file.
 *
 * `start()` rejects with `Aborted`. The server keeps what has arrived; an upload of the same file
 * continues from there.
 */
export declare function leave(upload: Upload): void;
/** The same as `uploadVideoChunked`. */
export declare const smartUpload: typeof uploadVideoChunked;
/** One ordinary request with the file in the form field `file`, and no other. */
export declare function uploadVideo(file: Blob, onProgress?: OnProgress, options?: UploadOptions): Promise<UploadResult>;
/**
 * As many requests as needed, for files of any size and any limit on the size of a request: one for
 * a small file, chunks for a large one.
 */
export declare function uploadVideoChunked(file: Blob, onProgress?: OnProgress, options?: UploadOptions): Promise<UploadResult>;
