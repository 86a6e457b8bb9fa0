/** The types of Wherry's browser client: keep this file beside chunkedUploadApi.js. */
/**
 * Everything an upload can fail with.
 *
 * Rule 1: the type says what to do, the fields say why.
 *
 * Rule 2: only a refusal for size has "413" or "too large" in its message, whatever
 * words, identifiers and numbers the server says: applications look for these two.
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
/** The root of them all. */
export declare class UploadFailure extends Error {
    /** Whether the words of a refusal for size may be in its message. */
    protected static readonly isAboutSize: boolean;
    name: string;
    /** Wherry's code for it, as in the server's list of errors; or our own. */
    readonly code: string;
    /** The HTTP status; null where there was no answer. */
    readonly status: number | null;
    /** The same call may succeed later, and goes on where this one ended. */
    readonly retryable: boolean;
    /** What to do about it: a sentence for people. */
    readonly hint: string;
    /** Seconds. */
    readonly retryAfter: number | null;
    /** What the server said: the fields of its problem document. */
    readonly facts: Record<string, unknown>;
    constructor(message: string, facts?: Facts);
}
/** The file is larger than the server takes, or the smallest chunk than something on the way. */
export declare class TooLarge extends UploadFailure {
    protected static readonly isAboutSize = true;
    name: string;
}
/** Cancelled here: by `cancel()` or an `AbortSignal`. */
export declare class Aborted extends UploadFailure {
    name: string;
}
/** 401 or 403, also with fresh headers. What was sent stays; log in and call again. */
export declare class Unauthorized extends UploadFailure {
    name: string;
}
/** There was no answer: no connection, or it broke; what was sent may have arrived or not. */
export declare class ConnectionLost extends UploadFailure {
    name: string;
}
/** There was no progress for the whole of `patience`; `cause` is the last error. */
export declare class GaveUp extends UploadFailure {
    name: string;
}
/** The upload was cancelled elsewhere, has expired or has failed: its bytes are deleted. */
export declare class UploadGone extends UploadFailure {
    name: string;
}
/** 507: the file can never fit into the space that the server has. */
export declare class NoSpace extends UploadFailure {
    name: string;
}
/**
 * The one request of `uploadVideo` or `smartUpload` went out whole, and its answer was lost.
 * The upload may be complete. It is not sent again by itself: that could make two.
 */
export declare class AnswerLost extends UploadFailure {
    name: string;
    constructor(cause: unknown);
}
/** The server is full at the moment; whoever waits gets in. It is waited for, not thrown. */
export declare class NoRoom extends UploadFailure {
    name: string;
}
/** Any other 4xx: the request, the file or its type is not wanted. */
export declare class Refused extends UploadFailure {
    name: string;
}
/** 5xx: the server, or a proxy that did not reach it. */
export declare class ServerFailed extends UploadFailure {
    name: string;
}
/** The answer is not one of Wherry's: most often the address is wrong. */
export declare class UnexpectedAnswer extends UploadFailure {
    name: string;
}
/** The file cannot be read any more: it was changed, moved or deleted on the disk. */
export declare class FileChanged extends UploadFailure {
    name: string;
}
/** What the callers of the browser client see. Sizes in bytes, times in seconds. */
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
    /** Handed to the server's `on_complete`. */
    metadata?: Record<string, string>;
    /** Default: what the server says; smaller where something on the way refuses it. */
    chunkSize?: number;
    /** Chunks in flight at once, 1 at least. Default, and at most: what the server says. */
    concurrency?: number;
    /** Seconds without progress until the upload gives up. Default: 300. */
    patience?: number;
    /** The same for the same file, to find its upload again; `false`: always a new upload. */
    fingerprint?: string | false;
    onProgress?: OnProgress;
}
/** `percent`: 0 to 100, never less than it was. */
export type OnProgress = (percent: number, details: UploadDetails) => void;
export type UploadState = 'starting' | 'sending'
/** The server is full: `position` is the place in its line, where it has one. */
 | 'waiting'
/** Something failed (`problem`); the next try is in `retryAfter` seconds. */
 | 'retrying' | 'paused' | 'completing' | 'done' | 'cancelled' | 'failed';
/** `[start, end]`: the bytes from `start` up to, not including, `end`. */
export type Range = [start: number, end: number];
/** One moment of an upload. */
export interface UploadDetails {
    state: UploadState;
    bytesTotal: number;
    /** Acknowledged, and what is on its way. */
    bytesSent: number;
    /** Acknowledged by the server: these survive everything. */
    bytesSafe: number;
    /** Counted in chunks of the present size; they change with it. */
    chunksTotal: number;
    chunksDone: number;
    chunkSize: number | null;
    safe: Range[];
    sending: Range[];
    /** Bytes a second over the last ten seconds. */
    speed: number | null;
    secondsLeft: number | null;
    /** Place in the server's waiting line: 1 is next. */
    position: number | null;
    retryAfter: number | null;
    /** What something on the way refused for its size. */
    refusedSize: number | null;
    /** Why it is retrying, waiting or has failed: a sentence for people. */
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
     * Sends what the server does not have yet. Called again after a failure, it goes on;
     * called while it runs, it gives the same promise. Rejects with `UploadFailure`.
     */
    start(): Promise<UploadResult>;
    /** Sends nothing more until `resume()`; what is on its way is sent again. */
    pause(): void;
    resume(): void;
    /** Ends it, on the server too; `start()` rejects with `Aborted`. */
    cancel(): Promise<void>;
    readonly details: UploadDetails;
    readonly uploadId: string | null;
}
/** An upload in chunks: to start, pause, resume and cancel. */
export declare function createUpload(file: Blob, options?: UploadOptions): Upload;
/** What holds for all uploads; each one's own options come before it. */
export declare const defaults: UploadOptions;
/**
 * For a page that goes away: pause it for good, and let go of its file.
 *
 * Its promise rejects with `Aborted`; what has arrived stays on the server, to be gone on with.
 */
export declare function leave(upload: Upload): void;
/** One ordinary request where the file is small, and chunks where it is not or is refused. */
export declare function smartUpload(file: Blob, onProgress?: OnProgress, options?: UploadOptions): Promise<UploadResult>;
/** One ordinary request with the file in the form field `file`. */
export declare function uploadVideo(file: Blob, onProgress?: OnProgress, options?: UploadOptions): Promise<UploadResult>;
/** Many small requests, however large the file and however narrow the way. */
export declare function uploadVideoChunked(file: Blob, onProgress?: OnProgress, options?: UploadOptions): Promise<UploadResult>;
