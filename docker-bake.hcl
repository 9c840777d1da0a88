# All images: `docker buildx bake`, or one of them: `docker buildx bake cpu`. Names, platforms and arguments; the recipe
# is the Dockerfile. RunPod's machines are amd64; the CPU image and the one without an engine run on arm64 as well.
variable "REGISTRY" {
  default = "podworker"
}

variable "VERSION" {
  default = "latest"
}

# Engines that were built before, in place of a compile: "" builds them.
variable "ENGINE_CUDA11_8" {
  default = ""
}

variable "ENGINE_CUDA12_8" {
  default = ""
}

group "default" {
  targets = ["cuda11-8", "cuda12-8", "cpu", "handler"]
}

group "engines" {
  targets = ["engine-cuda11-8", "engine-cuda12-8"]
}

target "common" {
  dockerfile = "Dockerfile"
  platforms  = ["linux/amd64"]
}

target "cuda11-8" {
  inherits = ["common"]
  tags     = ["${REGISTRY}:${VERSION}-cuda11.8"]
  args = {
    VARIANT       = "cuda11.8"
    ARCHITECTURES = "all"
    ENGINE_IMAGE  = ENGINE_CUDA11_8 != "" ? ENGINE_CUDA11_8 : null
  }
}

target "cuda12-8" {
  inherits = ["common"]
  tags     = ["${REGISTRY}:${VERSION}-cuda12.8"]
  args = {
    VARIANT       = "cuda12.8"
    ARCHITECTURES = "all"
    ENGINE_IMAGE  = ENGINE_CUDA12_8 != "" ? ENGINE_CUDA12_8 : null
  }
}

target "cpu" {
  inherits  = ["common"]
  tags      = ["${REGISTRY}:${VERSION}-cpu"]
  platforms = ["linux/amd64", "linux/arm64"]
  args = {
    VARIANT = "cpu"
  }
}

target "handler" {
  inherits  = ["common"]
  target    = "handler"
  tags      = ["${REGISTRY}:${VERSION}-handler"]
  platforms = ["linux/amd64", "linux/arm64"]
  args = {
    VARIANT = "cpu"
  }
}

target "engine-cuda11-8" {
  inherits = ["common"]
  target   = "engine"
  tags     = ["${REGISTRY}-engine:${VERSION}-cuda11.8"]
  args = {
    VARIANT       = "cuda11.8"
    ARCHITECTURES = "all"
  }
}

target "engine-cuda12-8" {
  inherits = ["common"]
  target   = "engine"
  tags     = ["${REGISTRY}-engine:${VERSION}-cuda12.8"]
  args = {
    VARIANT       = "cuda12.8"
    ARCHITECTURES = "all"
  }
}
