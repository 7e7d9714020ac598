"""Writes sounds.safetensors: half a second of sound, as files of several kinds and as a network hears it.

    python3 make_sounds.py

Run with Python 3.11, numpy 2.4.6, torch 2.15.0, transformers 5.24.0 without torchaudio, soundfile 0.14.0, safetensors 0.8.0.
transformers' own ASTFeatureExtractor computes `heard` [times, bands] in NumPy from what the 16-bit file holds. Where torchaudio is
there it takes its `compliance.kaldi.fbank` instead, in 32 bits, which is up to 4e-5 away from that.
"""
import io
from pathlib import Path

import numpy as np
import soundfile
import transformers as hf
from safetensors.numpy import save_file

RATE, SAMPLES, TIMES, BANDS = 16000, 8000, 60, 64

seconds = np.arange(SAMPLES) / RATE
sweep = 0.4 * np.sin(2 * np.pi * (200 + 3000 * seconds) * seconds)
noise = 0.05 * np.random.default_rng(0).standard_normal(SAMPLES)
samples = np.round((sweep + noise) * 32767).astype(np.int16)


def file(kind, subtype, data=samples, rate=RATE):
    out = io.BytesIO()
    soundfile.write(out, data, rate, format=kind, subtype=subtype)
    return np.frombuffer(out.getvalue(), dtype=np.uint8).copy()


extractor = hf.ASTFeatureExtractor(num_mel_bins=BANDS, max_length=TIMES)
heard = extractor((samples / 32768).astype(np.float32), sampling_rate=RATE, return_tensors="np").input_values[0]
tensors = {
    "heard": heard.astype(np.float32),
    "wav": file("WAV", "PCM_16"),
    "flac": file("FLAC", "PCM_16"),
    "ogg": file("OGG", "VORBIS"),
}
save_file(tensors, Path(__file__).parent / "sounds.safetensors")
print({name: tensor.shape for name, tensor in tensors.items()})
