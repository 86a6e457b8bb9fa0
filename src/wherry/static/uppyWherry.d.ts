/**
 * An uploader for Uppy: files that Uppy has gathered go to Wherry.
 *
 *     import Wherry from './api/uppyWherry'
 *     uppy.use(Wherry, { endpoint: '/api' })
 *     uppy.on('upload-success', (file, { body }) => show(body.assessment_id))
 *
 * Rule 1: at most `limit` files are under way at once. Those that are paused do not count.
 *
 * Rule 2: a file that is removed from Uppy is cancelled on the server too, unless it has arrived.
 */
import { BasePlugin } from '@uppy/core';
import type { Body, Meta, PluginOpts, Uppy } from '@uppy/core';
import type { UploadOptions, UploadResult } from './chunkedUploadApi.js';
/** `body` of Uppy's `upload-success`. */
export type WherryBody = UploadResult & Body;
export interface WherryOptions extends PluginOpts, Omit<UploadOptions, 'signal' | 'filename' | 'contentType' | 'metadata' | 'onProgress'> {
    /** How many files are under way at once. Default: 3. */
    limit?: number;
    /** The fields of a file's `meta` that the server gets. Default: all that have a value. */
    allowedMetaFields?: string[] | true;
}
export default class Wherry<M extends Meta, B extends Body> extends BasePlugin<WherryOptions, M, B> {
    private readonly jobs;
    constructor(uppy: Uppy<M, B>, options?: WherryOptions);
    install(): void;
    uninstall(): void;
    private setResumable;
    private readonly upload;
    /** Resolves when the file has arrived, has failed, or was removed. */
    private add;
    private beginNext;
    private run;
    private uploadOf;
    private fail;
    private isIn;
    private readonly onPause;
    private readonly onPauseAll;
    private readonly onResumeAll;
    private pause;
    private readonly onRemoved;
}
