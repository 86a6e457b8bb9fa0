/**
 * `<wherry-upload>`: an upload for pages without a framework, and a field of forms.
 *
 *     <script type="module" src="./api/wherryUpload.js"></script>
 *     <form action="/talks" method="post">
 *       <wherry-upload name="video" endpoint="/api" accept="video/*" required></wherry-upload>
 *     </form>
 *
 * Rule 1: its value in a form is the id of the upload, once the file has arrived: one value for each
 * file. Until all have, its form is not submitted.
 *
 * Rule 2: an element that leaves the document sends nothing more. The server keeps what has arrived, and
 * the same file continues from there.
 *
 * Rule 3: no state is told by colour or by a number alone, and a change of state is told to those who
 * do not see it.
 */
import type { UploadDetails, UploadFailure, UploadOptions, UploadResult } from './chunkedUploadApi.js';
/** What it says. Numbers are written by the function that gets them. */
export interface WherryWords {
    choose: string;
    drop: string;
    pause: string;
    resume: string;
    again: string;
    cancel: string;
    queued: string;
    starting: string;
    sending: string;
    waiting(position: number | null): string;
    retrying: string;
    paused: string;
    completing: string;
    done: string;
    cancelled: string;
    failed: string;
    notYet: string;
}
export declare const words: WherryWords;
/** `detail` of its events `wherry-progress`, `wherry-complete` and `wherry-failed`. */
export interface WherryEvent {
    file: File;
    details: UploadDetails;
    /** With `wherry-complete`. */
    result: UploadResult | null;
    /** With `wherry-failed`. */
    failure: UploadFailure | null;
}
export declare class WherryUpload extends HTMLElement {
    static readonly formAssociated = true;
    static readonly observedAttributes: string[];
    /** What `createUpload` takes besides `endpoint`, like `headers`. Read when a file begins. */
    options: UploadOptions;
    /** To be set before a file is chosen. */
    words: WherryWords;
    private readonly internals;
    private readonly input;
    private readonly zone;
    private readonly list;
    private rows;
    constructor();
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(): void;
    formDisabledCallback(isDisabled: boolean): void;
    formResetCallback(): void;
    /** Upload these files, as if the user had chosen them. Without `multiple`, the last one replaces all. */
    add(files: readonly File[]): void;
    /** The ids of the uploads that are complete. */
    get value(): string[];
    private clear;
    private beginNext;
    private changed;
    private tellForm;
}
declare global {
    interface HTMLElementTagNameMap {
        'wherry-upload': WherryUpload;
    }
}
