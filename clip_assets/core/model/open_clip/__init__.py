"""open_clip's models, SigLIP's among them: by name, from Hugging Face's hub, or in a folder of the user's.

What belongs here knows open_clip and the hub's cache. Nothing of it is imported before a model is asked for, since the
package takes seconds; and open_clip never downloads anything by itself: which files are read is decided here, so that a
model's identity covers them all.
"""
