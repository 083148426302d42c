from diffusers import KandinskyV22PriorPipeline

prior = KandinskyV22PriorPipeline.from_pretrained("tiny/kandinsky-2-2-prior")
prior(prompt=12, num_inference_steps=2)
